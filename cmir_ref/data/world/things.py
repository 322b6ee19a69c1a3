"""Things that stand on the ground, drawn as they look from above at 0.3 m a pixel, with their shadows."""

from math import cos, pi, sin

import numpy as np

from .plot import Plot
from .textures import SIZE, box, turn

COURTS = {  # outer and inner surface
    "green": ((0.25, 0.42, 0.33), (0.36, 0.52, 0.42)),
    "red": ((0.55, 0.33, 0.27), (0.34, 0.47, 0.38)),
    "blue": ((0.30, 0.45, 0.38), (0.25, 0.36, 0.55)),
    "grey": ((0.56, 0.52, 0.47), (0.56, 0.52, 0.47)),
}
_CAR_COLOURS = ("white", "white", "silver", "silver", "black", "grey", "red", "blue", "beige")


def ring(x: float, y: float, radius: float, n: int = 24) -> np.ndarray:
    """Points (n, 2) of a circle."""
    t = np.arange(n) * (2 * pi / n)
    return np.stack([x + radius * np.cos(t), y + radius * np.sin(t)], 1)


def car(p: Plot, x: float, y: float, angle: float, size: float = 1.0, truck: bool = False) -> None:
    """A car 4.5 m long, or a truck."""
    long, wide = (p.uniform(24, 40), 8.0) if truck else (p.uniform(13.5, 16) * size, p.uniform(6, 6.8) * size)
    name = p.pick("white", "silver", "beige") if truck else p.pick(*_CAR_COLOURS)
    hull = np.array(
        [[-0.5, -0.4], [-0.42, -0.5], [0.4, -0.5], [0.5, -0.34], [0.5, 0.34], [0.4, 0.5], [-0.42, 0.5], [-0.5, 0.4]]
    )
    hull = turn(hull * (long, wide), angle, (x, y))
    if not (3 <= x < SIZE - 3 and 3 <= y < SIZE - 3):
        return
    reach = p.cast * (9 if truck else 4.5)
    p.canvas.shadow(hull, p.sun[0] * reach, p.sun[1] * reach)
    tone = p.tone("car", name)
    p.canvas.polygon(hull, p.canvas.surface(tone, 0.03), raised=True)

    def part(x0: float, x1: float, half: float, surface: int) -> np.ndarray:
        shape = np.array([[x0, -half], [x1, -half * 0.9], [x1, half * 0.9], [x0, half]])
        shape = turn(shape * (long, wide), angle, (x, y))
        p.canvas.polygon(shape, surface)
        return shape

    glass = p.canvas.surface((0.10, 0.12, 0.15), 0.02)
    screen = part(0.3, 0.38, 0.46, glass) if truck else part(0.1, 0.23, 0.42, glass)
    if not truck:
        part(-0.38, -0.28, 0.4, glass)
        part(-0.28, 0.1, 0.36, p.canvas.surface(np.minimum(tone * 1.08 + 0.02, 1), 0.03))
    p.mark("cars", name, (hull, True), (screen, True))


def tree(p: Plot, x: float, y: float, radius: float, name: str | None = None) -> None:
    """A tree: a crown of clumps, light on the sunny side."""
    name = name or p.name("tree")
    canvas, rng = p.canvas, p.rng
    dark, middle, bright = (p.surface("tree", name, f, 0.16) for f in (0.62, 1.0, 1.4))
    reach = radius * (0.35 + 0.75 * p.cast)
    canvas.disc_shadow(x, y, radius * 0.95, p.sun[0] * reach, p.sun[1] * reach)
    canvas.disc(x, y, radius * 0.86, dark, raised=True)
    n = int(7 + radius * 0.8)
    t, r = rng.random(n) * 2 * pi, np.sqrt(rng.random(n)) * radius * 0.85
    at = np.stack([r * np.cos(t), r * np.sin(t)], 1)
    facing = -(at @ p.sun) / radius + rng.normal(0, 0.3, n)
    for (dx, dy), f, clump in zip(
        at.tolist(), facing.tolist(), (radius * rng.uniform(0.16, 0.32, n)).tolist(), strict=True
    ):
        canvas.disc(x + dx, y + dy, clump, dark if f < -0.35 else middle if f < 0.3 else bright, raised=True)
    bumps = ring(0, 0, 1, 16) * (radius * rng.uniform(0.85, 1.08, (16, 1))) + np.array([x, y])
    p.mark("trees", name, (bumps, True))


def bush(p: Plot, x: float, y: float, radius: float, name: str = "olive") -> None:
    """A shrub of the chaparral."""
    reach = radius * (0.3 + 0.5 * p.cast)
    p.canvas.disc_shadow(x, y, radius * 0.8, p.sun[0] * reach, p.sun[1] * reach)
    p.canvas.disc(x, y, radius, p.surface("tree", name, 0.85, 0.25), raised=True)
    p.canvas.disc(
        x - 0.35 * radius * p.sun[0], y - 0.35 * radius * p.sun[1], radius * 0.5, p.surface("tree", name, 1.25, 0.2)
    )
    p.mark("chaparral", name, (ring(x, y, radius, 10), True))


def building(p: Plot, x: float, y: float, long: float, wide: float, angle: float, *, height: float = 18, style="hip",
             name: str | None = None, label: str = "buildings") -> None:  # fmt: skip
    """A building: `style` "hip" or "gable" for pitched roofs, "flat" for roofs with parapet and machines."""
    name = name or p.name("roof")
    canvas = p.canvas
    foot = box((x, y), long, wide, angle)
    canvas.shadow(foot, p.sun[0] * height * p.cast, p.sun[1] * height * p.cast)
    tone = p.tone("roof", name)
    outlines = [(foot, True)]
    if style == "flat":
        canvas.polygon(foot, canvas.surface(np.minimum(tone * 1.15, 1), 0.03), raised=True)
        canvas.polygon(box((x, y), long - 4, wide - 4, angle), canvas.surface(tone, 0.05))
        for _ in range(p.count(1, max(2, int(long * wide / 900)))):
            at = turn([[p.uniform(-0.38, 0.38) * long, p.uniform(-0.35, 0.35) * wide]], angle, (x, y))[0]
            unit = box(at, p.uniform(4, 10), p.uniform(4, 8), angle)
            canvas.shadow(unit, p.sun[0] * 4 * p.cast, p.sun[1] * 4 * p.cast)
            canvas.polygon(unit, canvas.surface(np.full(3, p.uniform(0.4, 0.9)), 0.05), raised=True)
            outlines.append((unit, True))
    else:
        inset = wide / 2 if style == "hip" else 0.0
        a, b = turn([[-long / 2 + inset, 0], [long / 2 - inset, 0]], angle, (x, y))
        facets = ([foot[0], foot[1], b, a], [foot[1], foot[2], b], [foot[2], foot[3], a, b], [foot[3], foot[0], a])
        ways = ((0, -1), (1, 0), (0, 1), (-1, 0))
        canvas.polygon(foot, canvas.surface(tone, 0.05), raised=True)
        for facet, way in zip(facets, ways, strict=True):
            if style == "gable" and way[0]:
                continue
            slope = float(turn([way], angle)[0] @ p.sun)
            canvas.polygon(np.array(facet), canvas.surface(np.minimum(tone * np.float32(1.0 - 0.3 * slope), 1), 0.035))
        outlines.append((np.array([a, b]), False))
        if style == "hip":
            outlines += [(np.array([c, e]), False) for c, e in zip(foot, (a, b, b, a), strict=True)]
    p.mark(label, name, *outlines)


def house(p: Plot, x: float, y: float, angle: float, size: float, name: str | None = None) -> None:
    """A home: a main roof, often a wing across it."""
    name = name or p.name("roof")
    style = p.pick("hip", "hip", "gable")
    long, wide = size * p.uniform(1.0, 1.35), size * p.uniform(0.6, 0.8)
    before = len(p.things)
    building(p, x, y, long, wide, angle, height=12, style=style, name=name)
    if p.chance(0.55):
        side = p.pick(-1, 1)
        at = turn([[p.uniform(-0.25, 0.25) * long, side * wide * 0.42]], angle, (x, y))[0]
        building(p, *at, wide * p.uniform(0.9, 1.2), wide * 0.6, angle + pi / 2, height=10, style=style, name=name)
    if len(p.things) > before + 1:  # one house, one thing
        first, second = p.things[before], p.things.pop()
        p.things[before] = first._replace(outlines=first.outlines + second.outlines)


def mobile_home(p: Plot, x: float, y: float, angle: float) -> None:
    """A mobile home: long, narrow, low, with an awning."""
    name = p.pick("white", "white", "beige", "grey", "brown")
    long, wide = p.uniform(40, 54), p.uniform(13, 18)
    if p.chance(0.5):
        at = turn([[p.uniform(-8, 8), wide * 0.7]], angle, (x, y))[0]
        awning = box(at, long * 0.5, wide * 0.45, angle)
        p.canvas.shadow(awning, p.sun[0] * 5 * p.cast, p.sun[1] * 5 * p.cast)
        p.canvas.polygon(awning, p.surface("roof", p.pick("grey", "white", "beige"), 0.95), raised=True)
    building(p, x, y, long, wide, angle, height=9, style="gable", name=name, label="mobile-home")


def court(p: Plot, x: float, y: float, angle: float, name: str) -> None:
    """A tennis court, 36 m × 18 m with its margins; lines after the rules of tennis, 23.77 m × 10.97 m."""
    outer, inner = COURTS[name]
    canvas = p.canvas
    edge = box((x, y), 118, 60, angle)
    canvas.polygon(edge, canvas.surface(outer, 0.05))
    line = canvas.surface((0.93, 0.93, 0.90), 0.03)
    half, doubles, singles, service = 39.6, 18.3, 13.7, 21.3
    field = box((x, y), 2 * half, 2 * doubles, angle)
    canvas.polygon(field, canvas.surface(inner, 0.05))
    strokes = [[(-half, s * v), (half, s * v)] for v in (doubles, singles) for s in (-1, 1)]
    strokes += [[(s * half, -doubles), (s * half, doubles)] for s in (-1, 1)]
    strokes += [[(s * service, -singles), (s * service, singles)] for s in (-1, 1)]
    strokes += [[(-service, 0), (service, 0)]]
    strokes = [turn(s, angle, (x, y)) for s in strokes]
    for stroke in strokes:
        canvas.line(stroke, 0.9, line)
    net = turn([[0, -doubles - 2], [0, doubles + 2]], angle, (x, y))
    canvas.line(net, 1.4, canvas.surface((0.16, 0.18, 0.17), 0.03))
    p.mark("court", name, (edge, True), *((s, False) for s in strokes), (net, False))


def tank(p: Plot, x: float, y: float, radius: float) -> None:
    """A storage tank: a round roof, plain, ribbed or floating low inside its wall."""
    canvas, rng = p.canvas, p.rng
    name = p.pick("white", "white", "white", "grey", "beige", "brown")
    tone = p.tone("roof", name)
    height = radius * p.uniform(0.5, 0.9)
    dx, dy = p.sun[0] * height * p.cast, p.sun[1] * height * p.cast
    canvas.shadow(ring(x, y, radius, 32), dx, dy)
    kind = rng.random()
    outlines = [(ring(x, y, radius), True)]
    canvas.disc(x, y, radius, canvas.surface(np.minimum(tone * 1.1, 1), 0.02), raised=True)
    rim = radius * 0.93
    if kind < 0.3:  # floating roof: the wall shades a part of it
        canvas.disc(x, y, rim, canvas.surface(tone * 0.45, 0.03))
        canvas.disc(x + dx * 0.18, y + dy * 0.18, rim * 0.86, canvas.surface(tone * 0.9, 0.08))
    else:
        canvas.disc(x, y, rim, canvas.surface(tone * 0.92, 0.05))
        light = canvas.surface(np.minimum(tone * 1.04, 1), 0.04)
        canvas.disc(x - p.sun[0] * rim * 0.25, y - p.sun[1] * rim * 0.25, rim * 0.7, light)
        rib = canvas.surface(tone * 0.75, 0.03)
        if kind < 0.6:
            for t in (p.uniform(0, pi) + k * pi / 4 for k in range(4)):
                spoke = np.array([[x - rim * cos(t), y - rim * sin(t)], [x + rim * cos(t), y + rim * sin(t)]])
                canvas.line(spoke, 0.8, rib)
                outlines.append((spoke, False))
        if kind > 0.8:
            spots = canvas.surface(p.tone("soil", "red"), 0.1)
            for r, t in zip(rim * 0.7 * np.sqrt(rng.random(14)), rng.random(14) * 2 * pi, strict=True):
                canvas.disc(x + r * cos(t), y + r * sin(t), radius * 0.06, spots)
    canvas.disc(x, y, max(1.5, radius * 0.07), canvas.surface(tone * 0.6, 0.02))
    outlines.append((ring(x, y, radius * 0.88), False))
    stair = canvas.surface((0.35, 0.33, 0.30), 0.05)
    canvas.line(ring(x, y, radius * 0.98, 40)[: p.count(5, 9)], 1.6, stair)
    p.mark("tanks", name, *outlines)


def airplane(p: Plot, x: float, y: float, angle: float, long: float) -> None:
    """An airliner from above: swept wings, engines, tail."""
    name = p.pick("white", "white", "white", "grey", "silver")
    tone = {"white": (0.93, 0.93, 0.92), "grey": (0.72, 0.73, 0.74), "silver": (0.80, 0.80, 0.82)}[name]
    tone = np.array(tone)
    canvas = p.canvas
    span, sweep, wide = p.uniform(0.42, 0.52), p.uniform(0.14, 0.24), p.uniform(0.045, 0.06)

    def at(points) -> np.ndarray:
        return turn(np.array(points) * long, angle, (x, y))

    t = np.linspace(0, pi, 9)
    nose = [[0.40 + 0.10 * sin(k), -wide * cos(k)] for k in t]
    body = at(
        [
            [-0.5, 0.008],
            [-0.32, wide * 0.9],
            *[[a, -b] for a, b in [(n[0], n[1]) for n in nose]],
            [-0.32, -wide * 0.9],
            [-0.5, -0.008],
        ][::-1]
    )
    wing = [[0.14, 0.03], [0.12 - sweep, span], [0.07 - sweep, span], [-0.10, 0.03]]
    tail = [[-0.36, 0.01], [-0.44, 0.19], [-0.49, 0.19], [-0.46, 0.01]]
    wings = [at(wing), at([[a, -b] for a, b in wing])]
    tails = [at(tail), at([[a, -b] for a, b in tail])]
    engines = []
    for k in (0.34,) if p.chance(0.7) else (0.34, 0.66):
        for s in (-1, 1):
            m = np.array([0.12 - sweep * k + 0.045, s * (0.03 + (span - 0.03) * k)])
            engines.append(box(at([m])[0], 0.10 * long, 0.035 * long, angle))
    if p.chance(0.15):
        engines = [box(at([[-0.30, s * 0.085]])[0], 0.13 * long, 0.04 * long, angle) for s in (-1, 1)]
    reach = long * 0.11 * p.cast
    for shape in (*wings, *tails, body):
        canvas.shadow(shape, p.sun[0] * reach, p.sun[1] * reach)
    for shape in engines:
        canvas.polygon(shape, canvas.surface(tone * 0.62, 0.04), raised=True)
    for side, shape in zip((1, -1), wings, strict=True):
        canvas.polygon(shape, canvas.surface(tone * (0.84 + 0.04 * side), 0.03), raised=True)
        flap = shape[2] + 0.92 * (shape[1] - shape[2]), shape[3] + 0.75 * (shape[0] - shape[3])
        canvas.line(
            [shape[1] * 0.25 + shape[2] * 0.75, shape[0] * 0.3 + shape[3] * 0.7], 0.6, canvas.surface(tone * 0.6)
        )
        canvas.line(flap, 0.5, canvas.surface(np.minimum(tone * 1.05, 1)))
    for shape in tails:
        canvas.polygon(shape, canvas.surface(tone * 0.88, 0.03), raised=True)
    canvas.polygon(body, canvas.surface(tone, 0.03), raised=True)
    side = -sin(angle) * p.sun[0] + cos(angle) * p.sun[1]
    flank = [[-0.45, 0.2 * wide], [-0.32, 0.9 * wide], [0.40, 0.95 * wide], [0.46, 0.3 * wide]]
    flank = at([[a, b if side > 0 else -b] for a, b in flank])
    canvas.polygon(flank, canvas.surface(tone * 0.72, 0.03))
    livery = p.tone("car", p.pick("red", "blue", "grey", "beige", "white"))
    canvas.line(at([[-0.47, 0], [-0.36, 0]]), 0.022 * long, canvas.surface(livery, 0.03))
    canvas.line(at([[0.43, -wide * 0.5], [0.43, wide * 0.5]]), 0.012 * long, canvas.surface((0.15, 0.16, 0.19)))
    p.mark("airplane", name, *((s, True) for s in (*engines, *wings, *tails, body)))


def ship(p: Plot, x: float, y: float, angle: float, long: float) -> None:
    """A boat: a pointed hull, a deck, a cabin."""
    wide = min(long * p.uniform(0.26, 0.34), 4 + long * 0.2)
    canvas = p.canvas
    half = np.array([[-0.5, 0.36], [-0.1, 0.5], [0.2, 0.42], [0.38, 0.24]])
    shape = np.concatenate([half, [[0.5, 0.0]], (half * (1, -1))[::-1]])
    hull = turn(shape * (long, wide), angle, (x, y))
    canvas.shadow(hull, p.sun[0] * 4 * p.cast, p.sun[1] * 4 * p.cast)
    name = p.pick("white", "white", "white", "white", "silver", "blue", "beige")
    tone = p.tone("car", name)
    canvas.polygon(hull, canvas.surface(tone, 0.04), raised=True)
    deck = turn(shape * (long * 0.84, wide * 0.72), angle, (x, y))
    canvas.polygon(deck, canvas.surface(tone * 0.86 if p.chance(0.6) else p.tone("soil", "pale"), 0.05))
    middle = turn([[p.uniform(-0.16, 0.04) * long, 0]], angle, (x, y))[0]
    cabin = box(middle, long * p.uniform(0.25, 0.42), wide * 0.55, angle)
    canvas.shadow(cabin, p.sun[0] * 3 * p.cast, p.sun[1] * 3 * p.cast)
    canvas.polygon(cabin, p.surface("car", p.pick("white", "white", "blue", "grey"), 0.98), raised=True)
    front = cabin[1:3] * 0.85 + cabin[[0, 3]] * 0.15
    canvas.line(front, max(0.8, wide * 0.1), canvas.surface((0.12, 0.14, 0.17)))
    p.mark("ship", name, (hull, True), (cabin, True))


def pier(p: Plot, start, stop, wide: float, name: str = "grey") -> None:
    """A dock: a planked walk on piles, between two points x, y."""
    start, stop = np.asarray(start, float), np.asarray(stop, float)
    along = stop - start
    long = float(np.hypot(*along))
    angle = float(np.arctan2(along[1], along[0]))
    walk = box((start + stop) / 2, long, wide, angle)
    p.canvas.shadow(walk, p.sun[0] * 3 * p.cast, p.sun[1] * 3 * p.cast)
    planks = (cos(angle) * 0.4, sin(angle) * 0.4, 0.06)
    p.canvas.polygon(walk, p.canvas.surface(p.tone("concrete", name), 0.05, planks), raised=True)
    p.mark("dock", name, (walk, True))
