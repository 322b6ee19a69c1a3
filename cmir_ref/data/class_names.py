"""Names of classes as different data sets write them: without regard to case, blanks, plural and spelling."""

import re
import unicodedata
from collections.abc import Sequence

from ..errors import InputError

SPELLINGS = {"aeroplane": "airplane", "harbour": "harbor", "centre": "center", "grey": "gray", "carpark": "parkinglot"}
EARTH_ON_CANVAS = {  # the names of its 14 classes, and UC Merced's of the same
    "airplane": "airplane",
    "baseball diamond": "baseballdiamond",
    "buildings": "buildings",
    "freeway": "freeway",
    "golf course": "golfcourse",
    "harbor": "harbor",
    "intersection": "intersection",
    "mobile home park": "mobilehomepark",
    "overpass": "overpass",
    "parking lot": "parkinglot",
    "river": "river",
    "runway": "runway",
    "storage tank": "storagetanks",
    "tennis court": "tenniscourt",
}


def plain_name(name: str) -> str:
    """What two names of one class have in common: "Tennis Courts" and "tenniscourt" are both "tenniscourt"."""
    folded = unicodedata.normalize("NFC", name.casefold())  # Macs take accents off their letters
    apart = re.sub(r"(?<=\d)[\W_]+(?=\d)", "\0", folded)  # 1.1 is not 11
    plain = "".join(c for c in apart if c.isalnum() or c == "\0" or unicodedata.category(c)[0] == "M") or folded
    for one, other in SPELLINGS.items():
        plain = plain.replace(one, other)
    plain = plain if plain.endswith("ss") else plain.removesuffix("s")
    return re.sub(r"(?<=ch|sh|ss)e$", "", re.sub(r"ie$", "y", plain))  # beaches, overpasses, factories


def match_classes(wanted: Sequence[str], photos: Sequence[str], sketches: Sequence[str]) -> list[tuple[str, str]]:
    """(name among `photos`, name among `sketches`) of each class in `wanted`, or of all that both have for none.

    The order is that of `photos`. Raises `InputError`, with a table of what there is, for a class that one side lacks,
    for two names of one side that are the same class, and where nothing is common.
    """
    sides = {"photos": _by_plain_name(photos, "photos"), "sketches": _by_plain_name(sketches, "sketches")}
    for name in wanted:
        for side, known in sides.items():
            if plain_name(name) not in known:
                table = class_table(photos, sketches)
                raise InputError(f"class {name!r} has no {side}; set classes=[] for all that both have; {table}")
    common = [plain for plain in sides["photos"] if plain in sides["sketches"]]
    chosen = {plain_name(name) for name in wanted} or set(common)
    if not chosen:
        raise InputError(f"photos and sketches have no class in common; {class_table(photos, sketches)}")
    return [(sides["photos"][plain], sides["sketches"][plain]) for plain in common if plain in chosen]


def say_left_out(matched: Sequence[tuple[str, str]], photos: Sequence[str], sketches: Sequence[str]) -> tuple[str, ...]:
    """What a report says of classes that one side has and the other lacks, the first three of them by name."""
    said = ()
    for side, (kind, other, names) in enumerate((("photos", "sketches", photos), ("sketches", "photos", sketches))):
        left = [name for name in names if name not in {pair[side] for pair in matched}]
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        if left:
            said += (f"{kind} without {other} of their class left out: {', '.join(left[:3])}{more}",)
    return said


def class_table(photos: Sequence[str], sketches: Sequence[str]) -> str:
    """What there is, in one line: "Earth on Canvas = UC Merced: photos, sketches" for its 14 classes, then the rest."""
    sides = [{plain_name(name): name for name in names} for names in (photos, sketches)]
    rows, told = [], set()
    for name, ours in EARTH_ON_CANVAS.items():
        there = [side.get(plain_name(ours), "–") for side in sides]
        told.add(plain_name(ours))
        rows.append(f"{name}: {there[0]} | {there[1]}")
    rest = [", ".join(name for plain, name in side.items() if plain not in told) or "–" for side in sides]
    return f"class: photos | sketches; {'; '.join(rows)}; others: {rest[0]} | {rest[1]}"


def _by_plain_name(names: Sequence[str], side: str) -> dict[str, str]:
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(plain_name(name), name)
        if other != name:
            raise InputError(f"{side}: {other!r} and {name!r} name the same class; rename or merge their folders")
    return known
