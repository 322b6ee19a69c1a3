"""The eight land covers of DSRSID, drawn at 2 m a pixel: reflectance of the ground and where the sun reaches it."""

from itertools import pairwise
from math import cos, pi, sin

import numpy as np

from .ground import HALF, REACH, Ground, road, roof, tree_row, trees
from .materials import ROOFS, WATERS, mixture, spectrum, vegetation
from .textures import SIZE, box, cells, coordinates, curve, cuts, fractal, grain, ramp, streaks, turn


def paint_forest(g: Ground, mask: np.ndarray | None = None) -> None:
    """Crowns of many trees on hills, with clearings and tracks; only where `mask` is, if there is one."""
    rng = g.rng
    spacing = g.uniform(3.2, 8.5)
    dx, dy, tree, count = cells(rng, spacing)
    radius = 0.62
    d = (dx * dx + dy * dy) * np.float32(1 / radius**2)
    facing = (dx * np.float32(g.sun[0]) + dy * np.float32(g.sun[1])) * np.float32(1 / radius)
    kinds = np.stack([g.leaf() for _ in range(int(rng.integers(2, 5)))])
    stand = fractal(rng, g.uniform(40, 120), 3)
    kind_of = rng.integers(0, len(kinds), count)
    main = np.take(kind_of[: len(kinds)], (np.clip(stand + 1.5, 0, 2.99) * (len(kinds) / 3)).astype(np.intp))
    kind = np.where((tree * 7 % 10) < 7, main, np.take(kind_of, tree))
    bright = (1 + 0.16 * rng.standard_normal(count, np.float32))[tree]
    shape = np.clip(1.1 - 0.35 * d, 0.25, 1) * bright * (1 + 0.06 * grain(rng))
    colour = np.take(kinds.T, kind, axis=1) * shape
    lit = np.clip(1 - 0.45 * facing * g.cast - 0.7 * ramp(d, 0.8, 1.6), 0.05, 1.25)
    openness = fractal(rng, g.uniform(30, 90), 4, 0.6)
    gap = ramp(openness, *((1.1, 1.5) if rng.random() < 0.6 else (0.5, 0.8)))
    floor = (g.soil + g.grass()) * np.float32(0.5)
    colour += gap * (floor[:, None, None] * (1 + 0.12 * grain(rng, 1)) - colour)
    lit += gap * (1 - lit)
    if rng.random() < 0.7:
        hill = fractal(rng, g.uniform(60, 150), 3, 0.4)
        slope = np.gradient(hill)
        relief = slope[1] * np.float32(g.sun[0]) + slope[0] * np.float32(g.sun[1])
        lit = lit * np.clip(1 + relief * np.float32(g.uniform(2, 9) * g.cast), 0.35, 1.3)
    if mask is None:
        g.colour, g.lit = colour, lit
        if rng.random() < 0.25:
            road(g, g.uniform(1.5, 3), g.soil * 1.2)
            g.flush()
    else:
        g.blend(mask, colour)
        g.lit += mask * (lit - g.lit)


def farmland(g: Ground) -> None:
    """Parcels of crops in different states, their rows, tracks, ditches and hedges between them."""
    rng, canvas = g.rng, g.canvas
    g.fill(g.grass(), 1 + 0.12 * fractal(rng, 20, 4))
    step = g.uniform(22, 80)
    narrow = g.uniform(0.35, 1.2)
    margin = g.uniform(0.3, 1.6)
    track = canvas.surface(g.pick(g.soil * 1.3, g.grass(), spectrum(rng, "gravel")))
    crops = [_crop(g) for _ in range(int(rng.integers(2, 6)))]
    along_u = rng.random() < 0.7
    columns = cuts(rng, -REACH, REACH, step)
    skew = g.uniform(-0.25, 0.25)
    for left, right in pairwise(columns):
        rows = cuts(rng, -REACH - 40, REACH + 40, step * narrow, 0.5)
        along = along_u if rng.random() < 0.85 else not along_u
        for top, bottom in pairwise(rows):
            corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
            corners += [[margin, margin], [-margin, margin], [-margin, -margin], [margin, -margin]]
            corners[:, 1] += skew * corners[:, 0]
            colour = crops[int(rng.integers(len(crops)))] * np.float32(g.uniform(0.82, 1.18))
            frequency = 1 / g.uniform(2.6, 7)
            way = (0.0, 1.0) if along else (1.0, 0.0)
            fx, fy = (turn([way], g.angle)[0] * frequency).tolist()
            canvas.polygon(g.place(corners), canvas.surface(colour, 0.07, (fx, fy, g.uniform(0.04, 0.28))))
        if rng.random() < 0.35:
            edge = np.array([[right, skew * right - 250], [right, skew * right + 250]])
            canvas.line(g.place(edge), g.uniform(1, 2.6), track)
            if rng.random() < 0.4:
                tree_row(g, edge[0], edge[1])
    if rng.random() < 0.3:
        ditch = canvas.surface(mixture(rng, WATERS))
        v = g.uniform(-90, 90)
        canvas.line(g.place([[-REACH, v], [REACH, v + 20]]), g.uniform(1.2, 3), ditch)
    if rng.random() < 0.4:
        for _ in range(int(rng.integers(1, 5))):
            roof(g, rng.uniform(-110, 110, 2), g.uniform(4, 8), g.uniform(3, 5), g.uniform(2, 4))
    g.flush()
    g.colour *= 1 + 0.07 * fractal(rng, 60, 5, 0.7)


def _crop(g: Ground) -> np.ndarray:
    """Reflectance (4,) of one crop: growing, ripe, ploughed or flooded."""
    kind = g.rng.random()
    if kind < 0.12:
        return 0.5 * mixture(g.rng, WATERS) + 0.5 * spectrum(g.rng, "crop")
    if kind < 0.12 + 0.55 * g.vigour:
        return vegetation(g.rng, "crop", "ripe crop", g.vigour + 0.2, 0.2)
    return g.pick(spectrum(g.rng, "ripe crop", 0.2), g.soil, g.soil * np.float32(0.7), g.grass())


def aquafarm(g: Ground) -> None:
    """Ponds in a grid with dikes between them; or rafts in rows on open water."""
    if g.rng.random() < 0.22:
        _rafts(g)
        return
    rng, canvas = g.rng, g.canvas
    dike = g.pick(g.soil, g.soil * np.float32(1.3), g.grass(), spectrum(rng, "concrete", 0.2))
    g.fill(dike, 1 + 0.1 * fractal(rng, 12, 3))
    long, short = g.uniform(24, 75), g.uniform(12, 36)
    gap = g.uniform(1.0, 3.2)
    tones = [mixture(rng, WATERS, 0.2) for _ in range(int(rng.integers(1, 5)))]
    dry = spectrum(rng, "mud", 0.25)
    parched = g.uniform(0, 0.2)
    columns = cuts(rng, -REACH, REACH, long, 0.25)
    cut = g.uniform(0.05, 0.3)
    for k, (left, right) in enumerate(pairwise(columns)):
        canal = k % 3 == 2
        rows = cuts(rng, -REACH, REACH, short, cut)
        for top, bottom in pairwise(rows):
            far = right - (3.5 * gap if canal else gap)
            corners = np.array(
                [[left + gap, top + gap], [far, top + gap], [far, bottom - gap], [left + gap, bottom - gap]]
            )
            corners += rng.normal(0, 0.35, (4, 2))
            water = dry if rng.random() < parched else tones[int(rng.integers(len(tones)))]
            water = water * np.float32(g.uniform(0.7, 1.3))
            canvas.polygon(g.place(corners), canvas.surface(water, 0.04))
            if rng.random() < 0.4:
                float_at = g.place(corners.mean(axis=0) + rng.normal(0, 3, (2, 2)))
                canvas.line(float_at, 0.6, canvas.surface(spectrum(rng, "foam")))
        if canal and rng.random() < 0.8:
            where = right - 1.2 * gap
            lane = canvas.surface(g.pick(mixture(rng, WATERS), spectrum(rng, "gravel"), spectrum(rng, "asphalt")))
            canvas.line(g.place([[where, -REACH], [where, REACH]]), 1.2 * gap, lane)
        if rng.random() < 0.25:
            roof(g, (left, g.uniform(-100, 100)), g.uniform(4, 8), 3.5, 2, roof=spectrum(rng, g.pick(*ROOFS), 0.2))
    if rng.random() < 0.3:
        tree_row(g, np.array([columns[2], -REACH]), np.array([columns[2], REACH]))
    g.flush()


def _rafts(g: Ground) -> None:
    """Rafts or cages of aquaculture in rows on a bay."""
    _sea(g)
    rng, canvas = g.rng, g.canvas
    size, gap = g.uniform(7, 16), g.uniform(1.5, 4)
    lane = int(rng.integers(3, 7))
    flat = g.uniform(0.5, 3.0)
    colours = [canvas.surface(spectrum(rng, m, 0.2), 0.15) for m in ("concrete", "sand", "white roof", "wet soil")]
    main = g.pick(*colours[:3])
    beams = rng.random() < 0.5
    for i, u in enumerate(np.arange(-REACH, REACH, size * flat + gap).tolist()):
        if i % lane == 0:
            continue
        for j, v in enumerate(np.arange(-REACH, REACH, size + gap).tolist()):
            if j % (lane + 2) == 0 or rng.random() < 0.08:
                continue
            corners = box((u, v), size * flat, size * (0.5 if not beams else 1), 0) + rng.normal(0, 0.4, (4, 2))
            surface = main if rng.random() < 0.8 else g.pick(*colours)
            if beams:
                canvas.line(g.place(np.concatenate([corners, corners[:1]])), 1.9, surface)
            else:
                canvas.polygon(g.place(corners), surface)
    g.flush()


def _sea(g: Ground) -> None:
    """Water everywhere: depth and sediment change slowly, wind makes waves, the sun may glint on them."""
    rng = g.rng
    first, second = mixture(rng, WATERS, 0.2), mixture(rng, WATERS, 0.2)
    plume = ramp(fractal(rng, g.uniform(80, 300), 3, 0.5), -1.5, 1.5) * np.float32(g.uniform(0, 1))
    g.fill(first)
    g.blend(plume, second)
    wind = g.uniform(0, pi)
    waves = streaks(rng, wind, g.pick(1.0, 2.0, 4.0), g.uniform(2, 5)) + 0.6 * grain(rng, g.pick(0.7, 1.0))
    glint = np.float32(g.uniform(0.004, 0.03) if rng.random() < 0.3 else g.uniform(0.001, 0.006))
    g.colour += glint * np.maximum(1.5 + waves, 0)


def water(g: Ground) -> None:
    """Open water: a lake or the sea, perhaps with a shore at one side, islands, ships."""
    _sea(g)
    rng = g.rng
    kind = rng.random()
    if kind < 0.45:  # a shore
        _, v = coordinates(g.angle)
        shore = v + g.uniform(8, 30) * fractal(rng, g.uniform(60, 160), 4, 0.5) - g.uniform(65, 125)
        if kind < 0.2:
            forest_mask = ramp(shore, 4, 8)
            g.blend(ramp(shore, -1, 1), spectrum(rng, g.pick("sand", "soil", "gravel"), 0.2))
            paint_forest(g, forest_mask)
        else:
            g.blend(ramp(shore, -1, 1), g.pick(spectrum(rng, "sand", 0.2), g.soil))
            g.blend(ramp(shore, 3, 12), g.grass()[:, None, None] * (1 + 0.15 * fractal(rng, 14, 4)))
        if rng.random() < 0.4:
            g.blend(ramp(shore, -4, -2) * ramp(-shore, -1, 1) * ramp(grain(rng, 2), 0, 1), spectrum(rng, "foam"))
    elif kind < 0.55:  # islands
        rock = ramp(fractal(rng, 60, 4), 2.0, 2.15)
        g.blend(rock, g.soil)
        g.blend(rock * ramp(grain(rng, 2), -0.6, 0.4), g.leaf())
    for _ in range(int(rng.integers(0, 4)) if rng.random() < 0.5 else 0):
        at, heading = rng.uniform(10, 246, 2), g.uniform(0, 2 * pi)
        wake = turn([[-4, 0], [-40, -5], [-42, 5]], heading, at)
        g.canvas.polygon(wake, g.canvas.surface(g.colour[:, 128, 128] * 1.25 + 0.01))
        g.canvas.polygon(box(at, g.uniform(5, 14), 2.5, heading), g.canvas.surface(spectrum(rng, "white roof")))
    g.flush()


def paint_river(g: Ground) -> None:
    """A river winds through the scene between its banks: bars of sand, trees, fields, sometimes a bridge."""
    rng = g.rng
    kind = rng.random()
    if kind < 0.4:
        farmland(g)
    elif kind < 0.65:
        g.fill(g.grass(), 1 + 0.15 * fractal(rng, 40, 5, 0.7))
        g.blend(ramp(fractal(rng, 50, 4), 0, 1), g.soil)
    elif kind < 0.85:
        g.fill(g.soil)
        paint_forest(g)
    else:
        low_building(g)
    u, v = coordinates(g.uniform(0, 2 * pi))
    at = np.clip(np.rint(u + REACH), 0, 379).astype(np.intp)
    width = g.uniform(13, 46)
    bend = g.uniform(60, 140)
    line = (curve(rng, 380, bend) * g.uniform(10, 42)).astype(np.float32)
    line += np.float32(g.uniform(-25, 25) - line[190])
    wide = (width * (1 + 0.18 * curve(rng, 380, 50))).astype(np.float32)
    ripple = 1.2 * fractal(rng, 16, 3)
    off = v - np.take(line, at)
    bank = np.abs(off) - np.take(wide, at) / 2 + ripple  # pixels from the water's edge
    side = np.clip(1 + curve(rng, 380, 60), 0, 3).astype(np.float32) * np.float32(width * 0.2)
    bar = np.take(side, at) * (off > 0) + np.take(side[::-1], at) * (off <= 0)
    g.blend(ramp(bar - bank, -1, 1), g.pick(spectrum(rng, "sand", 0.2), g.soil, spectrum(rng, "gravel", 0.2)))
    if rng.random() < 0.6:
        belt = ramp(g.uniform(10, 30) - bank, -3, 3) * ramp(bank - bar, -1, 2)
        paint_forest(g, belt * ramp(fractal(rng, 30, 3), -0.6, 0.2))
    water_colour = mixture(rng, WATERS, 0.2)
    wet = ramp(-bank, -0.8, 0.8)
    flow = 1 + 0.06 * fractal(rng, 30, 4) + 0.03 * grain(rng, 1)
    g.blend(wet, water_colour[:, None, None] * flow)
    g.lit += wet * (1 - g.lit)
    if rng.random() < 0.25:
        k = int(rng.integers(120, 260))
        _bridge(g, u, v, k - REACH, spectrum(rng, g.pick("asphalt", "concrete")))


def _bridge(g: Ground, u: np.ndarray, v: np.ndarray, where: float, colour: np.ndarray) -> None:
    """A road across the river at u = `where`."""
    lane = ramp(g.uniform(2, 4) - np.abs(u - where + 0.1 * v), -0.5, 0.5)
    g.blend(lane, colour)
    g.lit += lane * (1 - g.lit)


def low_building(g: Ground) -> None:
    """Many small houses with pitched roofs along streets, with gardens and trees."""
    rng, canvas = g.rng, g.canvas
    g.fill(g.pick(g.grass(), 0.5 * g.soil + 0.5 * g.grass(), spectrum(rng, "gravel")), 1 + 0.18 * fractal(rng, 10, 3))
    street = canvas.surface(g.pick(spectrum(rng, "asphalt"), spectrum(rng, "concrete"), spectrum(rng, "gravel")))
    depth, long = g.uniform(8.5, 14), g.uniform(50, 120)
    roofs = [spectrum(rng, ROOFS[int(rng.integers(5))], 0.2) for _ in range(int(rng.integers(1, 5)))]
    along, across = g.uniform(5.5, 10), g.uniform(4.6, 7)
    lot = along + g.uniform(1, 6)
    rows = int(rng.integers(2, 4))
    wide = g.uniform(3, 5.5)
    pitch = rows * depth + wide
    columns = cuts(rng, -REACH, REACH, long, 0.3)
    houses, gardens = [], []
    for v in np.arange(-REACH, REACH, pitch).tolist():
        canvas.line(g.place([[-REACH, v], [REACH, v]]), wide, street)
        for left, right in pairwise(columns):
            for r in range(rows):
                for u in np.arange(left + wide / 2 + lot / 2, right - wide / 2 - lot / 2, lot).tolist():
                    at = (u, v + wide / 2 + (r + 0.5) * depth)
                    (houses if rng.random() < 0.93 else gardens).append(at)
    for u in columns:
        canvas.line(g.place([[u, -REACH], [u, REACH]]), wide, street)
    turned = rng.random() < 0.15
    inside = [at for at, far in zip(houses, np.abs(g.place(houses) - HALF).max(axis=1), strict=True) if far < HALF + 6]
    if gardens or inside:
        spots = g.place([(u + g.uniform(-3, 3), v + g.uniform(-2, 2)) for u, v in gardens + inside[:: g.pick(2, 3, 5)]])
        spots[: len(gardens)] += rng.normal(0, 2, (len(gardens), 2))
        spots += rng.normal(0, 4.5, spots.shape)
        trees(g, spots, 1.0, 2.6)
    for u, v in inside:
        size = g.uniform(0.75, 1.2)
        colour = roofs[int(rng.integers(len(roofs)))] * np.float32(g.uniform(0.8, 1.2))
        angle = pi / 2 if turned and rng.random() < 0.5 else g.uniform(-0.06, 0.06)
        at = (u + g.uniform(-0.5, 0.5), v + g.uniform(-0.7, 0.7))
        roof(g, at, along * size, across * g.uniform(0.85, 1.1), g.uniform(2, 4), angle, colour)
    g.flush()


def high_building(g: Ground) -> None:
    """A few large blocks, 30 to 130 m tall, seen a little from the side, with long shadows on streets and lawns."""
    rng, canvas = g.rng, g.canvas
    g.fill(
        g.pick(g.grass(), spectrum(rng, "concrete") * 0.8, 0.5 * g.soil + 0.5 * g.grass()),
        1 + 0.15 * fractal(rng, 14, 4),
    )
    g.blend(ramp(fractal(rng, 40, 3), -0.3, 0.3), g.pick(g.grass(), spectrum(rng, "gravel"), spectrum(rng, "concrete")))
    street = canvas.surface(g.pick(spectrum(rng, "asphalt"), spectrum(rng, "concrete")))
    long, short = g.uniform(18, 44), g.uniform(9, 14)
    if rng.random() < 0.35:
        long = short = g.uniform(13, 22)
    high = g.uniform(16, 45)
    pitch_u, pitch_v = long + g.uniform(7, 18), short + g.uniform(0.5, 0.9) * high * min(g.cast, 1.3)
    view = g.uniform(0, 2 * pi)
    lean = g.uniform(0.05, 0.28)
    lean = (lean * cos(view), lean * sin(view))
    n = int(REACH / pitch_u) + 1, int(REACH / pitch_v) + 1
    spots = [((i + 0.5) * pitch_u, (j + 0.5) * pitch_v) for i in range(-n[0], n[0]) for j in range(-n[1], n[1])]
    block = int(rng.integers(2, 4))
    for i in range(-n[0], n[0] + 1, block):
        canvas.line(g.place([[i * pitch_u, -REACH], [i * pitch_u, REACH]]), g.uniform(3, 7), street)
    for j in range(-n[1], n[1] + 1, block):
        canvas.line(g.place([[-REACH, j * pitch_v], [REACH, j * pitch_v]]), g.uniform(3, 7), street)
    trees(g, rng.uniform(0, 256, (int(rng.integers(20, 120)), 2)), 1.2, 2.8)
    roof = spectrum(rng, g.pick("concrete", "grey roof", "dark roof", "tile roof", "white roof"), 0.2)
    wall = spectrum(rng, g.pick("concrete", "glass", "grey roof", "tile roof"), 0.2)
    towers = []
    for u, v in spots:
        if rng.random() < 0.12 or np.abs(g.place([(u, v)]) - HALF).max() > HALF + 40:
            continue
        height = high * g.uniform(0.7, 1.25)
        at = g.place([(u + g.uniform(-3, 3), v + g.uniform(-3, 3))])[0]
        foot = _plan(g, at, long * g.uniform(0.8, 1.1), short * g.uniform(0.85, 1.15))
        towers.append((foot, height))
        canvas.shadow(foot, g.sun[0] * height * g.cast, g.sun[1] * height * g.cast)
    for foot, height in sorted(towers, key=lambda t: -float(t[0][0] @ lean)):
        _tower(g, foot, height, lean, roof * np.float32(g.uniform(0.8, 1.2)), wall)
    g.flush()


def _plan(g: Ground, at: np.ndarray, long: float, short: float) -> np.ndarray:
    """A building's outline (n, 2): a slab, or an L of two."""
    if g.rng.random() < 0.75 or long < 1.5 * short:
        return box(at, long, short, g.angle)
    a, b, w = long / 2, short * 0.9, short / 2
    return turn([[-a, -w], [a, -w], [a, w], [-a + short, w], [-a + short, w + b], [-a, w + b]], g.angle, at)


def _tower(g: Ground, foot: np.ndarray, height: float, lean, roof: np.ndarray, wall: np.ndarray) -> None:
    """One block: the walls that the camera sees, storey by storey, and the roof with what stands on it."""
    canvas = g.canvas
    top = foot + np.array(lean) * height
    for k in range(len(foot)):
        along = foot[k] - foot[k - 1]
        outward = along[1] * g.sun[0] - along[0] * g.sun[1]
        bright = 0.95 if outward < 0 else 0.4
        storeys = canvas.surface(wall * np.float32(bright), 0.1, (lean[0] * 4, lean[1] * 4, 0.25))
        canvas.polygon([foot[k - 1], foot[k], top[k], top[k - 1]], storeys, raised=True)
    canvas.polygon(top, canvas.surface(roof), raised=True)
    centre = top[:4].mean(axis=0)
    inner = centre + 0.82 * (top - centre)
    canvas.polygon(inner, canvas.surface(roof * np.float32(0.85)))
    shaft = box(inner[0] * 0.4 + centre * 0.6, g.uniform(2, 4), g.uniform(2, 4), g.angle)
    canvas.shadow(shaft, g.sun[0] * g.cast * 2, g.sun[1] * g.cast * 2)
    canvas.polygon(shaft, canvas.surface(roof * np.float32(1.25)), raised=True)


def cloud(g: Ground) -> None:
    """Clouds with soft edges, and their shadows, over any ground."""
    rng = g.rng
    kind = rng.random()
    if kind < 0.3:
        farmland(g)
    elif kind < 0.55:
        paint_forest(g)
    elif kind < 0.75:
        _sea(g)
    elif kind < 0.9:
        g.fill(g.grass(), 1 + 0.15 * fractal(rng, 40, 5, 0.7))
    else:
        low_building(g)
    if rng.random() < 0.75:
        field = fractal(rng, g.uniform(50, 200), 6, g.uniform(0.45, 0.62))
    else:
        field = streaks(rng, g.angle, 8.0, g.uniform(1.5, 3)) + 0.5 * fractal(rng, 40, 5, 0.6)
    low = g.uniform(-1.6, 0.15)
    cover = ramp(field, low, low + g.uniform(0.5, 1.8)) * np.float32(g.uniform(0.7, 1))
    far = (np.array(g.sun) * g.uniform(20, 70) * g.cast).astype(int)
    rows, columns = (_mirrored(np.arange(SIZE) - int(step)) for step in far[::-1])
    shade = cover[rows[:, None], columns]
    g.lit *= 1 - 0.85 * shade
    relief = field - np.roll(field, (round(3 * g.sun[1]), round(3 * g.sun[0])), (0, 1))
    body = np.clip(0.86 + 0.07 * field + 0.3 * relief, 0.5, 1.15)
    g.blend(cover, spectrum(rng, "cloud", 0.08)[:, None, None] * body)
    g.lit += cover * (1 - g.lit)


def _mirrored(index: np.ndarray) -> np.ndarray:
    """Indices of an image that is mirrored at its edges."""
    index = np.abs(index) % (2 * SIZE - 2)
    return np.minimum(index, 2 * SIZE - 2 - index)


PAINTERS = (aquafarm, cloud, paint_forest, high_building, low_building, farmland, paint_river, water)
