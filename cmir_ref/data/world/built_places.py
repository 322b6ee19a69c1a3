"""Places where people live and work: homes, blocks, harbors, depots."""

from math import pi

import numpy as np

from .layout import REACH, bare_patches, extra, line_up, path_along, scatter_trees, strip, traffic
from .plot import Plot
from .textures import SIZE, box, fractal, ramp, turn
from .things import building, bush, car, house, mobile_home, pier, ship, tank


def buildings(p: Plot) -> None:
    """Large buildings with flat roofs between streets and yards."""
    p.ground(p.pick("asphalt", "asphalt", "concrete"), "pavement")
    if extra(p, "grass", 0.25):
        p.zone(ramp(fractal(p.rng, 80, 2), 0.5, 0.55), "grass", "grass")
    if extra(p, "bare-soil", 0.05):
        bare_patches(p)
    taken: list = []
    layout = p.count(0, 2)
    spots = {
        0: [(0, 0, 150, 110)],
        1: [(-62, -5, 92, 150), (62, 10, 92, 120)],
        2: [(-62, -58, 95, 82), (62, -58, 90, 82), (-62, 58, 90, 78), (60, 62, 85, 70)],
    }[layout]
    for u, v, long, wide in spots:
        long, wide = long * p.uniform(0.75, 1.1), wide * p.uniform(0.7, 1.05)
        x, y = p.place([[u + p.uniform(-8, 8), v + p.uniform(-8, 8)]])[0].tolist()
        style, height = "flat" if p.chance(0.8) else "hip", p.uniform(18, 50)
        name = p.pick("white", "grey", "beige", "dark", "brown") if style == "flat" else p.name("roof")
        building(p, x, y, long, wide, p.angle, height=height, style=style, name=name)
        if style == "flat" and p.chance(0.4):
            building(p, x, y, long * 0.4, wide * 0.4, p.angle, height=height * 0.5, style="flat", name=name, label=None)
        spots = turn([[k * long / 4, 0] for k in (-1, 0, 1)], p.angle, (x, y)).tolist()
        taken += [(*at, wide * 0.5) for at in spots]
    if extra(p, "cars", 0.45):
        for _ in range(p.count(8, 24)):
            x, y = p.uniform(0, SIZE), p.uniform(0, SIZE)
            if p.free(x, y, 9, taken):
                car(p, x, y, p.angle + p.pick(0, pi / 2))
    if extra(p, "trees", 0.55):
        scatter_trees(p, p.count(8, 22), 7, 14, taken)


def _homes(p: Plot, lot: float, depth: float, size: float, trees: int, cars: float, pool: float) -> None:
    """Homes on both sides of a street or two, with drives, cars, trees and pools."""
    road_name = p.name("asphalt")
    wide = p.uniform(20, 28)
    middle = p.uniform(-70, 70)
    streets = np.arange(middle - 4 * (2 * depth + wide), 200, 2 * depth + wide)
    roofs = [p.name("roof") for _ in range(p.count(1, 3))]
    homes, drives = [], []
    for v in streets.tolist():
        if abs(v) < 140:
            p.zone(strip(p.v, v, wide), "asphalt", "pavement", road_name)
        for s in (-1, 1):
            at = v + s * (wide / 2 + depth * 0.5)
            for u in np.arange(-REACH + p.uniform(0, lot), REACH, lot).tolist():
                homes.append((u + p.uniform(-3, 3), at + p.uniform(-3, 3), s))
                drives.append((u + lot * 0.38, v + s * (wide / 2 + depth * 0.2), s))
    slab = p.surface("concrete", p.name("concrete"))
    taken: list = []
    for u, v, _ in drives:
        if p.chance(0.6):
            p.canvas.polygon(p.place(box((u, v), 11, depth * 0.42, 0)), slab)
    for u, v, s in homes:
        x, y = p.place([[u, v]])[0].tolist()
        if max(abs(x - 128), abs(y - 128)) < 165:
            house(p, x, y, p.angle + p.uniform(-0.04, 0.04), size * p.uniform(0.85, 1.15), p.pick(*roofs))
            taken.append((x, y, size * 0.52))
            if p.chance(pool):
                at = p.place([[u + p.uniform(-8, 8), v + s * depth * 0.42]])[0]
                p.canvas.polygon(box(at, 15, 8, p.angle), p.canvas.surface((0.35, 0.68, 0.78), 0.04))
    if extra(p, "cars", cars):
        for u, v, _ in drives:
            if p.chance(0.35):
                car(p, *p.place([[u, v]])[0].tolist(), p.angle + pi / 2)
        for v in streets.tolist():
            traffic(p, v + wide * 0.36 * p.pick(-1, 1), p.angle, 70)
    if extra(p, "trees", 0.85):
        road = np.min([np.abs(p.v - np.float32(v)) for v in streets], axis=0) > wide / 2 + 3
        scatter_trees(p, trees, 6, 15, taken, road)


def denseresidential(p: Plot) -> None:
    """Homes close together."""
    kind = p.pick("grass", "grass", "concrete", "soil")
    p.ground(kind, {"grass": "grass", "soil": "bare-soil", "concrete": "pavement"}[kind])
    if extra(p, "bare-soil", 0.3):
        bare_patches(p)
    size = p.uniform(38, 46)
    _homes(p, size * 1.2, size * 1.05, size, 40, 0.7, 0.05)


def mediumresidential(p: Plot) -> None:
    """Homes with gardens."""
    p.ground("grass", "grass")
    if extra(p, "bare-soil", 0.4):
        bare_patches(p, above=0.4)
    size = p.uniform(42, 54)
    _homes(p, size * 1.55, size * 1.5, size, 60, 0.95, 0.12)


def sparseresidential(p: Plot) -> None:
    """One or two homes in a large garden or a dry plain."""
    dry = p.chance(0.4)
    p.ground("soil" if dry else "grass", "bare-soil" if dry else "grass")
    p.colour *= 1 + 0.08 * fractal(p.rng, 20, 4)
    if dry and p.chance(0.5):
        p.zone(ramp(fractal(p.rng, 70, 3), 0.2, 0.8), "grass", "grass", edge=False)
    elif not dry and p.chance(0.35):
        bare_patches(p)
    taken: list = []
    if extra(p, "pavement", 0.87):
        path_along(p, p.pick(-1, 1) * p.uniform(70, 110), p.uniform(10, 20), "asphalt", taken)
    for k in range(p.pick(1, 1, 2)):
        x, y = p.uniform(70, 186), p.uniform(70, 186)
        size = p.uniform(50, 72)
        if p.free(x, y, size * 0.6, taken) or k == 0:
            house(p, x, y, p.angle + p.uniform(-0.4, 0.4), size)
            taken.append((x, y, size * 0.7))
            if extra(p, "cars", 0.4):
                for _ in range(p.count(1, 3)):
                    car(p, *turn([[size * 0.85, p.uniform(-14, 14)]], p.angle, (x, y))[0].tolist(), p.angle)
    if extra(p, "chaparral", 0.14 if dry else 0.02):
        for _ in range(60):
            x, y, r = p.uniform(0, SIZE), p.uniform(0, SIZE), p.uniform(2, 4)
            if p.free(x, y, r, taken):
                bush(p, x, y, r)
    if extra(p, "trees", 0.8):
        scatter_trees(p, p.count(10, 45), 9, 20, taken)


def harbor(p: Plot) -> None:
    """Docks with boats in their berths."""
    p.ground("water", "water")
    long = p.uniform(24, 62)
    beam = long * 0.3 + 3
    wide = p.uniform(4, 9)
    lane = p.uniform(20, 45)
    name = p.name("concrete")
    pitch = 2 * long + wide + lane
    full = p.uniform(0.55, 0.98)
    for v in np.arange(-2 * pitch + p.uniform(0, pitch), 220, pitch).tolist():
        if abs(v) > 128 + long + 60:
            continue
        start, stop = p.place([[-REACH, v], [REACH, v]])
        fingers = np.arange(-REACH, REACH, 2 * beam + 3).tolist()
        for u in fingers:
            for s in (-1, 1):
                a, b = p.place([[u, v], [u, v + s * (wide / 2 + long * 0.9)]])
                if np.abs((a + b) / 2 - 128).max() < 150:
                    pier(p, a, b, 2.6, name)
        pier(p, start, stop, wide, name)
        for u in fingers:
            for s in (-1, 1):
                for k in (0, 1):
                    if not p.chance(full):
                        continue
                    size = long * p.uniform(0.7, 1.0)
                    at = u + 1.5 + beam * (k + 0.5), v + s * (wide / 2 + 2 + size / 2)
                    x, y = p.place([at])[0].tolist()
                    if max(abs(x - 128), abs(y - 128)) < 128 + size / 2:
                        ship(p, x, y, p.angle + s * pi / 2, size)


def mobilehomepark(p: Plot) -> None:
    """Mobile homes side by side along lanes."""
    kind = p.pick("concrete", "asphalt", "soil")
    p.ground(kind, "bare-soil" if kind == "soil" else "pavement")
    if extra(p, "grass", 0.5):
        p.zone(ramp(fractal(p.rng, 30, 3), -0.2, 0.3), "grass", "grass", edge=False)
    if extra(p, "bare-soil", 0.35):
        bare_patches(p, above=0.4)
    wide, long = p.uniform(18, 26), 52.0
    pitch = wide + 2 * long + 10
    name, slant = p.name("asphalt"), p.pick(0, 0, 0.35, -0.35)
    streets = np.arange(p.uniform(-60, 60) - 2 * pitch, 230, pitch).tolist()
    for v in streets:
        p.zone(strip(p.v, v, wide), "asphalt", "pavement", name)
    taken: list = []
    lot = p.uniform(29, 38)
    for v in streets:
        for s in (-1, 1):
            for u in np.arange(-REACH, REACH, lot).tolist():
                x, y = p.place([[u + p.uniform(-2, 2), v + s * (wide / 2 + long / 2 + 3)]])[0].tolist()
                if max(abs(x - 128), abs(y - 128)) > 155:
                    continue
                if p.chance(0.92):
                    mobile_home(p, x, y, p.angle + pi / 2 + s * slant)
                    taken += [(*at, 9.0) for at in turn([[0, k] for k in (-16, 0, 16)], p.angle, (x, y)).tolist()]
                cx, cy = p.place([[u + lot * 0.5, v + s * (wide / 2 + 12)]])[0].tolist()
                if extra(p, "cars", 0.4):
                    car(p, cx, cy, p.angle + pi / 2 + s * slant)
                    taken.append((cx, cy, 7.0))
    if extra(p, "trees", 0.9):
        road = np.min([np.abs(p.v - np.float32(v)) for v in streets], axis=0) > wide / 2
        scatter_trees(p, 70, 5, 11, taken, road)


def storagetanks(p: Plot) -> None:
    """Storage tanks on a yard."""
    kind = p.pick("concrete", "asphalt", "soil", "soil")
    p.ground(kind, "bare-soil" if kind == "soil" else "pavement")
    if kind == "soil" and p.chance(0.8):
        path_along(p, p.uniform(-120, 120), p.uniform(14, 24), p.pick("concrete", "asphalt"), [])
        p.flush()
    if extra(p, "grass", 0.35):
        p.zone(ramp(p.v + 6 * fractal(p.rng, 60, 2), 70, 72), "grass", "grass")
    if extra(p, "sand", 0.25):
        p.zone(ramp(-p.v + 6 * fractal(p.rng, 60, 2), 75, 78), "sand", "sand")
    taken: list = []
    number = p.pick(1, 2, 4, 4, 6, 9)
    radius = {
        1: p.uniform(62, 80),
        2: p.uniform(44, 56),
        4: p.uniform(30, 46),
        6: p.uniform(22, 32),
        9: p.uniform(17, 28),
    }[number]
    columns = {1: 1, 2: 2, 4: 2, 6: 3, 9: 3}[number]
    pitch = radius * p.uniform(2.35, 2.8)
    for k in range(number):
        u = (k % columns - (columns - 1) / 2) * pitch
        v = (k // columns - (number // columns - 1) / 2) * pitch
        x, y = (p.place([[u, v]])[0] + p.rng.normal(0, 2.5, 2)).tolist()
        tank(p, x, y, radius * p.uniform(0.85, 1.04))
        taken.append((x, y, radius * 1.25))
    pipe = p.surface("concrete", "white", 0.9)
    for _ in range(p.count(1, 3) if number > 1 else 0):
        line_up(p, pitch * (p.pick(-0.5, 0.5) + p.uniform(-0.1, 0.1)), pipe, 1.2, p.chance(0.5))
    if extra(p, "buildings", 0.6):
        for _ in range(40):
            x, y = p.uniform(15, 241), p.uniform(15, 241)
            if p.free(x, y, 26, taken):
                building(
                    p, x, y, p.uniform(28, 44), p.uniform(16, 24), p.angle, height=10, style=p.pick("gable", "flat")
                )
                break
    if extra(p, "cars", 0.3):
        for _ in range(14):
            x, y = p.uniform(10, 246), p.uniform(10, 246)
            if p.free(x, y, 9, taken):
                car(p, x, y, p.angle, truck=p.chance(0.4))
    if extra(p, "trees", 0.35):
        scatter_trees(p, 14, 7, 13, taken)
