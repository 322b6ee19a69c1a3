"""Places where few things stand: fields, courses, shores and woods."""

from math import pi

import numpy as np
from scipy import ndimage

from .layout import REACH, bare_patches, extra, paint, path_along, scatter_trees, strip
from .plot import Plot
from .textures import SIZE, box, cells, curve, fractal, grain, ramp, streaks, turn
from .things import building, bush, car, court, house, ring, ship


def agricultural(p: Plot) -> None:
    """Rows of a crop, perhaps two fields, a track between them."""
    p.ground("crop", "field")
    kind = p.count(0, 2)
    period = p.uniform(5, 10) if kind < 2 else p.uniform(12, 22)
    bend = p.uniform(0, 14) * fractal(p.rng, 200, 2)
    rows = np.abs(((p.v + bend) / np.float32(period)) % 1 - 0.5) * 2
    soil = 0.75 * p.tone("soil", p.name("soil"))[:, None, None]
    ragged = p.uniform(0.05, 0.18) * grain(p.rng, 1.0) + p.uniform(0, 0.12) * fractal(p.rng, 40, 3)
    between = ramp(rows + ragged, 0.35, 0.75) * np.float32(p.uniform(0.5, 0.95))
    if kind == 2:  # vines, orchards: single plants
        plants = np.abs((p.u / np.float32(period * p.uniform(0.7, 1))) % 1 - 0.5) * 2
        between = ramp(rows * rows + plants * plants + ragged, 0.45, 0.8)
    p.colour += between * (soil * (1 + 0.05 * grain(p.rng)) - p.colour)
    p.colour *= 1 + 0.06 * fractal(p.rng, 120, 4)
    step = period * max(1, round(24 / period))
    for v in np.arange(-REACH, REACH, step).tolist():
        p.edges.append(strip(p.v + bend, v, 3))
    tractor = strip(p.u if p.chance(0.3) else p.v, p.uniform(-90, 90), p.uniform(8, 18))
    if p.chance(0.35):
        p.zone(tractor, "crop")
    if extra(p, "trees", 0.08):
        scatter_trees(p, 5, 8, 14, [])


def baseballdiamond(p: Plot) -> None:
    """A baseball field: the infield's skin of soil with its square of grass, base lines, outfield."""
    p.ground("grass", "grass")
    mown = streaks(p.rng, p.angle, 8.0, 6.0)
    p.colour *= 1 + 0.06 * mown
    x, y = p.uniform(90, 166), p.uniform(90, 166)
    side = p.uniform(50, 95)  # of the square between the bases, 27.4 m in the large game
    home = turn([[-side * 0.55, 0]], p.angle, (x, y))[0]
    canvas = p.canvas
    soil = p.name("soil")
    skin = p.surface("soil", soil, 1.0, 0.06)
    t = np.linspace(-pi / 4, pi / 4, 17)
    mound = turn([[side * 0.66, 0]], p.angle, home)[0]
    fan = np.concatenate([[[0, 0]], np.stack([np.cos(t), np.sin(t)], 1) * side * 1.5])
    if p.chance(0.7):
        t = np.linspace(-2.2, 2.2, 25)
        arc = np.stack([side * (0.62 + 0.9 * np.cos(t)), side * 0.9 * np.sin(t)], 1)
        fan = np.concatenate([[[-side * 0.1, 0]], arc[np.abs(arc[:, 1]) <= arc[:, 0] + side * 0.12]])
    fan = turn(fan, p.angle, home)
    canvas.polygon(fan, skin)
    outlines = [(fan, True)]
    if p.chance(0.75):
        lawn = box(mound + turn([[side * 0.05, 0]], p.angle)[0], side * 0.85, side * 0.85, p.angle + pi / 4)
        canvas.polygon(lawn, p.surface("grass", p.grass_kind, 1.0, 0.08))
        canvas.disc(*mound, side * 0.09, skin)
        outlines += [(lawn, True), (ring(*mound, side * 0.09), True)]
    canvas.disc(*home, side * 0.16, skin)
    outlines.append((ring(*home, side * 0.16), True))
    chalk = paint(p)
    for s in (-1, 1):
        foul = np.array([home, turn([[1.0, s * 1.0]], p.angle)[0] * side * 2.4 + home])
        canvas.line(foul, 0.8, chalk)
        outlines.append((foul, False))
        base = turn([[side * 0.707, s * side * 0.707]], p.angle, home)[0]
        canvas.polygon(box(base, 2.2, 2.2, p.angle + pi / 4), chalk)
    p.mark("bare-soil", soil, *outlines)
    taken = [(*mound.tolist(), side * 1.3)]
    if extra(p, "pavement", 0.4):
        v = p.pick(-1, 1) * p.uniform(105, 120)
        path_along(p, v, p.uniform(10, 22), "concrete", taken)
    if extra(p, "buildings", 0.5):
        for s in (-1, 1):
            at = turn([[-side * 0.05, s * side * 0.55]], p.angle, home)[0]
            building(p, *at, side * 0.5, 9, p.angle + s * pi / 4, height=8, style="gable")
    if extra(p, "trees", 0.5):
        scatter_trees(p, 30, 8, 16, taken)


def beach(p: Plot) -> None:
    """Sand and the sea, with surf between them."""
    rng = p.rng
    p.ground("sea", "sea")
    shore = (p.uniform(4, 14) * curve(rng, 400, p.uniform(60, 160), 3)).astype(np.float32)
    off = p.v - np.take(shore, np.clip(np.rint(p.u + 200), 0, 399).astype(np.intp)) - np.float32(p.uniform(-45, 45))
    deep = ramp(-off, 0, 160)
    p.colour *= 1 - 0.35 * deep
    swell = streaks(rng, p.angle, 2.0, 6.0)
    p.colour *= 1 + 0.06 * swell
    wide = p.uniform(18, 70)
    lace = 0.7 * streaks(rng, p.angle, 2.0, 2.0) + 0.6 * fractal(rng, 24, 4, 0.65)
    foam = ramp(lace - np.abs(off + wide * 0.45) / np.float32(wide * 0.45), -0.9, 0.3) * (off < 6)
    for k in range(p.count(0, 2)):
        foam = np.maximum(foam, ramp(lace - np.abs(off + wide * (1.3 + 0.7 * k)) * 0.25, -0.6, 0.6) * 0.8)
    p.colour += foam * (np.array([0.90, 0.92, 0.92], np.float32)[:, None, None] * (1 + 0.04 * grain(rng)) - p.colour)
    p.edges.append(ndimage.uniform_filter(foam, 13) * 1.6)
    beach_mask = ramp(off + 4 * fractal(rng, 30, 3), -1, 1)
    name = p.name("sand")
    p.zone(beach_mask, "sand", "sand", name)
    wet = ramp(-off, -p.uniform(14, 30), -4) * beach_mask
    p.colour *= 1 - 0.28 * wet
    steps = p.uniform(60, 110)
    if extra(p, "trees", 0.05):
        scatter_trees(p, 10, 7, 12, [], off > steps)
    if extra(p, "pavement", 0.05):
        p.zone(ramp(off, steps, steps + 1) * ramp(-off, -steps - 26, -steps - 25), "asphalt", "pavement")


def chaparral(p: Plot) -> None:
    """Shrubs on dry ground."""
    p.ground("soil", "bare-soil")
    p.colour *= 1 + 0.08 * fractal(p.rng, 14, 3)
    spacing = p.uniform(8, 22)
    name, keep = p.name("tree"), p.uniform(0.35, 0.9)
    for x in np.arange(-5, SIZE + 5, spacing).tolist():
        for y in np.arange(-5, SIZE + 5, spacing).tolist():
            if p.chance(keep):
                at = p.rng.normal((x, y), spacing * 0.3)
                bush(p, *at.tolist(), spacing * float(np.clip(p.rng.lognormal(-1.3, 0.4), 0.12, 0.6)), name)


def forest(p: Plot) -> None:
    """A closed canopy of crowns."""
    name = p.name("tree")
    rng = p.rng
    p.ground("tree")
    spacing = p.uniform(15, 36)
    dx, dy, number, count = cells(rng, spacing)
    rough = 0.25 * fractal(rng, 12, 3, 0.7)
    d = (dx * dx + dy * dy) * 4 + rough
    facing = (dx * np.float32(p.sun[0]) + dy * np.float32(p.sun[1])) * 2
    cx, cy, _, _ = cells(rng, p.uniform(4, 7))
    clump = (cx * np.float32(p.sun[0]) + cy * np.float32(p.sun[1])) * 2
    tone = (
        p.tone("tree", name)[:, None, None]
        * np.clip(1 + 0.16 * rng.standard_normal((3, count)), 0.5, 1.6).astype(np.float32)[:, number]
    )
    crown = ramp(-d, -1.5, -1.05)
    shade = np.clip(1.1 - 0.45 * facing - 0.3 * clump - 0.25 * d + 0.12 * grain(rng, 0.7), 0.2, 2.0)
    p.colour *= 0.35
    p.colour += crown * (tone * shade * 1.1 - p.colour)
    p.edges.append(crown)
    p.mark("trees", name)


def golfcourse(p: Plot) -> None:
    """Fairways and greens, bunkers of sand, trees."""
    p.ground("grass", "grass")
    rough = ramp(fractal(p.rng, 120, 3), -0.2, 0.1)
    p.colour *= 1 - 0.18 * rough
    x, y = p.uniform(80, 176), p.uniform(80, 176)
    canvas = p.canvas
    taken = [(x, y, 40.0)]
    green = ring(0, 0, 1, 30) * (p.uniform(26, 40) * (1 + 0.15 * curve(p.rng, 30, 6)))[:, None]
    green = turn(green, 0, (x, y))
    canvas.polygon(green, p.surface("grass", p.grass_kind, 1.22, 0.03))
    p.things.append(p.things[0]._replace(outlines=((green, True),)))
    canvas.disc(*p.rng.normal((x, y), 5).tolist(), 0.9, paint(p))
    if extra(p, "pavement", 0.6):
        n = 30
        path = np.stack([np.linspace(-REACH, REACH, n), 25 * curve(p.rng, n, 9) + p.pick(-1, 1) * p.uniform(60, 90)], 1)
        path = p.place(path)
        canvas.line(path, p.uniform(4, 7), p.surface("concrete", p.name("concrete")))
        p.mark("pavement", "grey", (path, False))
        taken += [(*at, 4.0) for at in path.tolist()]
    if extra(p, "sand", 0.75):
        name = p.pick("white", "pale")
        for _ in range(p.count(2, 5)):
            t, r = p.uniform(0, 2 * pi), p.uniform(48, 80)
            bx, by = x + r * np.cos(t), y + r * np.sin(t)
            shape = (
                ring(0, 0, 1, 30) * (1 + 0.35 * curve(p.rng, 30, 5))[:, None] * (p.uniform(10, 18), p.uniform(7, 13))
            )
            shape = turn(shape, p.uniform(0, pi), (bx, by))
            canvas.polygon(shape + np.array(p.sun) * 1.5, p.surface("grass", p.grass_kind, 0.6))
            canvas.polygon(shape, p.surface("sand", name, 1.0, 0.04))
            p.mark("sand", name, (shape, True))
            taken.append((bx, by, 18.0))
    if extra(p, "trees", 0.75 if "sand" in p.labels() else 1):
        scatter_trees(p, p.count(10, 45), 9, 20, taken)
    if extra(p, "bare-soil", 0.35):
        bare_patches(p, above=1.1)


def river(p: Plot) -> None:
    """A river between wooded or sandy banks."""
    rng = p.rng
    grass = p.chance(0.6)
    p.ground("grass" if grass else "soil", "grass" if grass else "bare-soil")
    if extra(p, "bare-soil", 0.15):
        bare_patches(p)
    line = (p.uniform(8, 22) * curve(rng, 400, p.uniform(80, 160))).astype(np.float32)
    off = p.v - np.take(line, np.clip(np.rint(p.u + 200), 0, 399).astype(np.intp)) - np.float32(p.uniform(-20, 20))
    wide = p.uniform(45, 105)
    bank = np.abs(off) - wide / 2 + 4 * fractal(rng, 30, 4)
    if extra(p, "sand", 0.43):
        p.zone(ramp(p.uniform(10, 26) - bank + 6 * fractal(rng, 50, 2), -1, 1), "sand", "sand")
    p.zone(ramp(-bank, -1, 1), "water", "water")
    p.colour *= 1 - 0.2 * ramp(-bank, -3, 1) * ramp(bank, -6, 0)
    if extra(p, "ship", 0.03):
        ship(p, *p.place([[0, 0]])[0].tolist(), p.angle, 40)
    if extra(p, "trees", 0.77):
        scatter_trees(p, p.count(60, 160), 8, 19, [], bank > 7)


def tenniscourt(p: Plot) -> None:
    """Tennis courts in a park or a garden."""
    p.ground("grass", "grass")
    if extra(p, "bare-soil", 0.4):
        bare_patches(p)
    number = p.pick(1, 1, 2, 2, 3)
    name = p.pick("green", "green", "red", "blue", "grey")
    taken: list = []
    cx, cy = p.uniform(-30, 30), p.uniform(-15, 15)
    if extra(p, "pavement", 0.65):
        side = p.pick(-1, 1)
        at = cy + side * (30 * number + p.uniform(14, 26))
        path_along(p, at, p.uniform(10, 28), p.pick("asphalt", "concrete"), taken)
    fence = box(p.place([[cx, cy]])[0], 124, 62 * number + 4, p.angle)
    p.canvas.shadow(fence, p.sun[0] * 3, p.sun[1] * 3)
    p.canvas.polygon(fence, p.canvas.surface((0.33, 0.35, 0.33), 0.1), raised=True)
    for k in range(number):
        v = cy + (k - (number - 1) / 2) * 62
        court(p, *p.place([[cx, v]])[0].tolist(), p.angle, name)
        taken += [(*at, 33.0) for at in p.place([[cx + s * 30, v] for s in (-1, 0, 1)]).tolist()]
    if extra(p, "buildings", 0.6):
        for _ in range(60):
            x, y = p.uniform(0, SIZE), p.uniform(0, SIZE)
            if p.free(x, y, 30, taken):
                house(p, x, y, p.angle, p.uniform(42, 56))
    if extra(p, "cars", 0.5):
        for _ in range(30):
            x, y = p.uniform(8, 248), p.uniform(8, 248)
            if p.free(x, y, 9, taken):
                car(p, x, y, p.angle)
                if p.chance(0.2):
                    break
    if extra(p, "trees", 0.9):
        scatter_trees(p, p.count(15, 60), 8, 17, taken)
