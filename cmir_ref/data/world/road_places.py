"""Places made for vehicles: roads, car parks, airports."""

from math import pi

import numpy as np

from .layout import REACH, dashes, extra, line_up, paint, scatter_trees, strip, traffic
from .plot import Plot
from .textures import SIZE, box, fractal, grain, ramp, streaks
from .things import airplane, building, car, tree


def airplane_place(p: Plot) -> None:
    """Airliners on an apron."""
    p.ground(p.pick("concrete", "concrete", "asphalt"), "pavement")
    if p.chance(0.7):
        seam = p.canvas.surface(p.colour[:, 128, 128] * 0.88, 0.03)
        step = p.uniform(18, 40)
        for k in np.arange(-REACH, REACH, step).tolist():
            line_up(p, k, seam, 0.5)
            line_up(p, k, seam, 0.5, across=True)
    if extra(p, "grass", 0.2):
        p.zone(ramp(p.v, 88, 89), "grass", "grass")
    guide = paint(p, "yellow")
    line_up(p, p.uniform(-60, 60), guide, 0.9, across=True)
    taken: list = []
    if extra(p, "buildings", 0.3):
        at = p.place([[p.uniform(-40, 40), -118]])[0]
        building(p, *at, p.uniform(120, 200), 50, p.angle, height=20, style="flat")
        taken.append((*at.tolist(), 62))
    number = p.pick(1, 1, 2, 2, 3)
    heading = p.angle + pi / 2 + p.pick(0, 0, 0.3, -0.3)
    long = {1: p.uniform(110, 160), 2: p.uniform(88, 110), 3: p.uniform(64, 80)}[number]
    spots = {1: [(0, 0)], 2: [(-56, 0), (56, 10)], 3: [(-80, 0), (0, 5), (80, 0)]}[number]
    for u, v in spots:
        x, y = p.place([[u + p.uniform(-8, 8), v + p.uniform(-10, 20)]])[0].tolist()
        taken.append((x, y, long * 0.42))
        airplane(p, x, y, heading + p.uniform(-0.08, 0.08), long * p.uniform(0.9, 1.05))
    if extra(p, "cars", 0.6):
        for _ in range(p.count(3, 10)):
            x, y = p.uniform(0, SIZE), p.uniform(0, SIZE)
            if p.free(x, y, 8, taken):
                car(p, x, y, p.angle + p.pick(0, pi / 2), 0.9, truck=p.chance(0.3))


def freeway(p: Plot) -> None:
    """Two carriageways with lanes and cars."""
    _verge(p)
    _carriageways(p, p.uniform(-25, 25))
    mask = np.abs(p.v) > 92
    if extra(p, "trees", 0.5):
        scatter_trees(p, 25, 7, 14, [], mask)


def _verge(p: Plot) -> None:
    """What lies beside a road: grass, soil or both."""
    grass = p.chance(0.6)
    p.ground("grass" if grass else "soil", "grass" if grass else "bare-soil")
    if extra(p, "grass" if not grass else "bare-soil", 0.3):
        p.zone(
            ramp(p.v, p.uniform(-20, 20), 21),
            "soil" if grass else "grass",
            "bare-soil" if grass else "grass",
            edge=False,
        )


def _carriageways(p: Plot, middle: float, *, cars: float = 0.95, across: bool = False) -> float:
    """A divided road along u (or across it); its half width."""
    coordinate = p.u if across else p.v
    lanes, lane = p.count(2, 4), p.uniform(11.5, 13.5)
    median, shoulder = p.uniform(4, 26), p.uniform(4, 10)
    name, kind = p.name("asphalt"), p.pick("asphalt", "asphalt", "concrete")
    name = name if kind == "asphalt" else p.name("concrete")
    half = median / 2 + lanes * lane + 2 * shoulder
    wide = lanes * lane + 2 * shoulder
    for s in (-1, 1):
        p.zone(strip(coordinate, middle + s * (median / 2 + wide / 2), wide), kind, "pavement", name)
    worn = np.abs(((coordinate - np.float32(middle)) / np.float32(lane / 2)) % 1 - 0.5)
    p.colour *= 1 - 0.05 * worn * strip(coordinate, middle, 2 * half)
    if median < 12:
        p.zone(strip(coordinate, middle, median), "concrete", None, edge=False)
    white, yellow = paint(p), paint(p, p.pick("yellow", "white"))
    angle = p.angle + (pi / 2 if across else 0)
    busy = p.uniform(60, 170)
    moving = extra(p, "cars", cars)
    for s in (-1, 1):
        inner = middle + s * (median / 2 + shoulder)
        line_up(p, inner, yellow, 0.9, across)
        line_up(p, inner + s * lanes * lane, white, 0.9, across)
        for k in range(lanes):
            if k:
                dashes(p, inner + s * k * lane, white, across=across)
            if moving:
                traffic(p, inner + s * (k + 0.5) * lane, angle if s > 0 else angle + pi, busy, across)
    return half


def overpass(p: Plot) -> None:
    """A road on a bridge across a freeway."""
    _verge(p)
    _carriageways(p, p.uniform(-10, 10), across=True)
    p.flush()
    wide = p.uniform(50, 90)
    at = p.uniform(-25, 25)
    deck = p.place([[-REACH, at - wide / 2], [REACH, at - wide / 2], [REACH, at + wide / 2], [-REACH, at + wide / 2]])
    reach = p.uniform(14, 26) * max(p.cast, 0.6)
    p.canvas.shadow(deck, p.sun[0] * reach, p.sun[1] * reach)
    kind = p.pick("concrete", "asphalt")
    name = p.name(kind)
    p.canvas.polygon(deck, p.surface(kind, name, 1.05), raised=True)
    rail = p.surface("concrete", "white", 1.0)
    for s in (-1, 1):
        line_up(p, at + s * (wide / 2 - 1), rail, 2)
    p.mark("pavement", name, (deck, True))
    lanes = max(2, int(wide / 2 / 13))
    white, yellow = paint(p), paint(p, "yellow")
    line_up(p, at, yellow, 1.4)
    for s in (-1, 1):
        for k in range(lanes // 2 + 1):
            v = at + s * (6.5 + 13 * k)
            if abs(v - at) < wide / 2 - 6:
                if k:
                    dashes(p, v - s * 6.5, white)
                if extra(p, "cars", 0.9):
                    traffic(p, v, p.angle if s > 0 else p.angle + pi, 110)


def intersection(p: Plot) -> None:
    """Two streets cross; crosswalks, corners with lawns and buildings."""
    corner = p.pick("grass", "grass", "concrete", "soil")
    p.ground(corner, {"grass": "grass", "soil": "bare-soil", "concrete": "pavement"}[corner])
    if extra(p, "grass", 0.35):
        p.zone(ramp(p.u, 0, 1) * ramp(p.v, 0, 1), "grass", "grass", edge=False)
    name = p.name("asphalt")
    half = [13.0 * p.count(1, 3) + p.uniform(1, 4) for _ in range(2)]
    middle = p.uniform(-20, 20), p.uniform(-20, 20)
    curb = np.maximum(strip(p.v, middle[1], 2 * half[1] + 10), strip(p.u, middle[0], 2 * half[0] + 10))
    p.colour += curb * (p.tone("concrete", "white")[:, None, None] * (1 + 0.03 * grain(p.rng)) - p.colour)
    p.zone(
        np.maximum(strip(p.v, middle[1], 2 * half[1]), strip(p.u, middle[0], 2 * half[0])),
        "asphalt",
        "pavement",
        name,
    )
    white, yellow = paint(p), paint(p, "yellow")
    for k, across in ((1, False), (0, True)):
        other = half[1 - k]
        for s in (-1, 1):
            for lane in range(1 + int(half[k] > 20)):
                v = middle[k] + 13.0 * lane * (1 if lane else 0) * s
                start, stop = middle[1 - k] + s * (other + 16), middle[1 - k] + s * REACH
                for side in (-1, 1) if lane else (1,):
                    w = middle[k] + side * 13.0 * lane
                    ends = np.array([[start, w], [stop, w]])
                    p.canvas.line(p.place(ends[:, ::-1] if across else ends), 1.0, white if lane else yellow)
            if p.chance(0.8):
                for w in np.arange(middle[k] - half[k] + 2, middle[k] + half[k] - 2, 5.0).tolist():
                    a = middle[1 - k] + s * (other + 4)
                    ends = np.array([[a, w], [a + s * 8, w]])
                    p.canvas.line(p.place(ends[:, ::-1] if across else ends), 2.0, white)
    if extra(p, "cars", 0.95):
        for k, across in ((1, False), (0, True)):
            angle = p.angle + (pi / 2 if across else 0)
            for s in (-1, 1):
                for lane in range(int(half[k] / 13)):
                    side = s if not across else -s
                    traffic(
                        p,
                        middle[k] + s * (6.5 + 13 * lane),
                        angle + (0 if side > 0 else pi),
                        p.uniform(50, 140),
                        across,
                    )
    taken: list = []
    for su in (-1, 1):
        for sv in (-1, 1):
            u, v = middle[0] + su * (half[0] + 50), middle[1] + sv * (half[1] + 48)
            x, y = p.place([[u, v]])[0].tolist()
            if extra(p, "buildings", 0.5):
                style = p.pick("flat", "hip")
                building(p, x, y, p.uniform(50, 66), p.uniform(40, 58), p.angle, height=14, style=style)
                taken.append((x, y, 36.0))
    if extra(p, "trees", 0.8):
        off = np.maximum(np.abs(p.v - np.float32(middle[1])) - half[1], -999)
        away = (off > 8) & (np.abs(p.u - np.float32(middle[0])) - half[0] > 8)
        scatter_trees(p, 40, 6, 14, taken, away)


def parkinglot(p: Plot) -> None:
    """Rows of parked cars."""
    p.ground("asphalt", "pavement")
    stall, deep, lane = 9.2, 17.0, p.uniform(20, 26)
    pitch = 2 * deep + lane
    white = paint(p)
    full = p.uniform(0.5, 0.97)
    taken: list = []
    margin = p.uniform(85, 190)
    islands = extra(p, "trees", 0.45)
    grass = extra(p, "grass", 0.2)
    for v in np.arange(-4 * pitch + p.uniform(0, pitch), 200, pitch).tolist():
        if abs(v) > 190:
            continue
        for u in np.arange(-REACH, REACH, stall).tolist():
            if abs(u) > margin:
                continue
            x, y = p.place([[u, v]])[0].tolist()
            if max(abs(x - 128), abs(y - 128)) > 150:
                continue
            p.canvas.line(p.place([[u - stall / 2, v - deep], [u - stall / 2, v + deep]]), 0.6, white)
            for s in (-1, 1):
                if p.chance(full):
                    at = p.place([[u + p.uniform(-0.6, 0.6), v + s * (deep / 2 + p.uniform(-0.7, 0.7))]])[0]
                    car(p, *at.tolist(), p.angle + s * pi / 2 + pi * p.count(0, 1))
        if islands or grass:
            at = p.place([[p.uniform(-90, 90), v]])[0].tolist()
            if grass:
                island = box(at, 20, 2 * deep, p.angle)
                p.canvas.polygon(island, p.surface("grass", p.grass_kind), raised=True)
                p.mark("grass", p.grass_kind, (island, True))
            if islands:
                tree(p, *at, p.uniform(7, 11))
    if extra(p, "buildings", 0.1):
        building(
            p, *p.place([[margin if margin < 130 else 105, 0]])[0].tolist(), 60, 150, p.angle, height=25, style="flat"
        )
    for _ in range(p.count(0, 4)):
        x, y = p.uniform(20, 236), p.uniform(20, 236)
        if (
            margin < 125
            and abs((x - 128) * np.cos(p.angle) + (y - 128) * np.sin(p.angle)) > margin
            and p.free(x, y, 9, taken)
        ):
            car(p, x, y, p.uniform(0, pi))


def runway(p: Plot) -> None:
    """A runway with its markings."""
    grass = p.chance(0.55)
    p.ground("grass" if grass else p.pick("asphalt", "soil"), "grass" if grass else "pavement")
    if p.things[0].label == "pavement":
        p.ground("asphalt", "pavement")
    if extra(p, "sand", 0.3):
        p.zone(ramp(np.abs(p.v) + 8 * fractal(p.rng, 60, 3), 108, 110), "sand", "sand")
    half = p.uniform(45, 75)
    shoulder = half + p.uniform(8, 25)
    p.zone(strip(p.v, 0, 2 * shoulder), "asphalt", "pavement", p.pick("grey", "brown"))
    name = p.pick("dark", "dark", "grey")
    p.zone(strip(p.v, 0, 2 * half), "asphalt", "pavement", name)
    rubber = streaks(p.rng, p.angle, 2.0, 6.0) + ramp(-np.abs(p.v), -half * 0.6, -4) * 1.5
    p.colour *= 1 - 0.10 * np.clip(rubber, 0, 2.5) * strip(p.v, 0, 1.7 * half)
    white, yellow = paint(p), paint(p, "yellow")
    outlines = []
    for s in (-1, 1):
        line_up(p, s * (half - 4), white, 2.2)
        for u in np.arange(-REACH + p.uniform(0, 60), REACH, 62).tolist():  # chevrons of the shoulder
            p.canvas.line(p.place([[u, s * (half + 3)], [u + 14, s * shoulder]]), 1.4, yellow)

    def bar(u0: float, u1: float, v: float, wide: float) -> None:
        ends = p.place([[u0, v], [u1, v]])
        p.canvas.line(ends, wide, white)
        outlines.append((ends, False))

    if p.chance(0.55):
        start = p.uniform(-60, 30)
        for v in np.arange(8, half - 10, 8.0).tolist():
            for s in (-1, 1):
                bar(start, start + 75, s * v, 3.8)
        for s, shape in ((-1, p.count(0, 2)), (1, p.count(0, 2))):
            _digit(p, start + 115, s * 11, shape, bar)
    else:
        for u in np.arange(-REACH + p.uniform(0, 100), REACH, 125).tolist():
            bar(u, u + 75, 0, 3.2)
    p.things.append(p.things[-1]._replace(label="pavement", outlines=tuple(outlines)))


def _digit(p: Plot, u: float, v: float, shape: int, bar) -> None:
    """A part of the runway's number, as bars."""
    strokes = {0: ((-14, 14, 0),), 1: ((-14, 14, -6), (-14, 14, 6)), 2: ((-14, 0, -6), (0, 14, 6))}[shape]
    for u0, u1, dv in strokes:
        bar(u + u0, u + u1, v + dv, 2.6)
    if shape:
        for du in (-14, 0, 14):
            p.canvas.line(p.place([[u + du, v - 7], [u + du, v + 7]]), 2.6, paint(p))
