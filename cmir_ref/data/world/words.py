"""Captions and keywords: what a scene contains, in five sentences and in pairs of attribute and target."""

from collections import Counter

import numpy as np

from .plot import Thing

# singular and plural; areas have one form
WORDS = {
    "airplane": ("airplane", "airplanes"), "buildings": ("building", "buildings"), "cars": ("car", "cars"),
    "court": ("tennis court", "tennis courts"), "dock": ("dock", "docks"),
    "mobile-home": ("mobile home", "mobile homes"), "ship": ("ship", "ships"),
    "tanks": ("storage tank", "storage tanks"), "trees": ("tree", "trees"), "bare-soil": ("bare soil",),
    "chaparral": ("chaparral",), "field": ("field",), "grass": ("grass",), "pavement": ("pavement",),
    "sand": ("sand",), "sea": ("sea",), "water": ("water",),
}  # fmt: skip
SCENES = {
    "agricultural": "farmland", "airplane": "an airport", "baseballdiamond": "a baseball field", "beach": "a beach",
    "buildings": "a built-up area", "chaparral": "a dry plain", "denseresidential": "a dense residential area",
    "forest": "a forest", "freeway": "a freeway", "golfcourse": "a golf course", "harbor": "a harbor",
    "intersection": "a road intersection", "mediumresidential": "a residential area",
    "mobilehomepark": "a mobile home park", "overpass": "an overpass", "parkinglot": "a parking lot",
    "river": "a river", "runway": "a runway", "sparseresidential": "a sparse residential area",
    "storagetanks": "an oil depot", "tenniscourt": "a sports ground",
}  # fmt: skip
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_RELATIONS = {
    ("airplane", "pavement"): "parked on", ("cars", "pavement"): "on", ("ship", "dock"): "moored at",
    ("ship", "water"): "floating on", ("dock", "water"): "reaching into", ("trees", "grass"): "standing on",
    ("buildings", "trees"): "surrounded by", ("buildings", "pavement"): "along", ("mobile-home", "pavement"): "along",
    ("tanks", "pavement"): "standing on", ("tanks", "bare-soil"): "standing on", ("court", "grass"): "surrounded by",
    ("court", "trees"): "near", ("sand", "sea"): "beside", ("chaparral", "bare-soil"): "growing on",
    ("water", "trees"): "between", ("water", "grass"): "between banks of", ("bare-soil", "grass"): "in the middle of",
    ("sand", "grass"): "in the middle of", ("pavement", "grass"): "running through",
    ("pavement", "bare-soil"): "running through",
}  # fmt: skip


def captions(rng: np.random.Generator, things: list[Thing], scene_class: str) -> tuple[str, ...]:
    """Five different sentences about the things of a scene: counts, relations, colours, kind of place."""
    counts = _counts(things)
    labels = list(counts)
    amounts = [_amount(label, counts[label]) for label in labels]
    shuffled = [amounts[k] for k in rng.permutation(len(amounts))]
    first = things[[t.label for t in things].index(labels[-1] if rng.random() < 0.5 else labels[0])]
    others = [_kind(label) for label in labels if label != first.label]
    pairs = [(a, b) for a, b in _RELATIONS if a in counts and b in counts]
    if pairs:
        a, b = pairs[int(rng.integers(len(pairs)))]
        number = counts[a]
        verb = "are" if len(WORDS[a]) > 1 and number > 1 else "is"
        relation = f"{_upper(_amount(a, number))} {verb} {_RELATIONS[a, b]} the {WORDS[b][-1]}."
    else:
        relation = f"The {WORDS[labels[0]][-1]} {'fill' if len(WORDS[labels[0]]) > 1 else 'fills'} the scene."
    verb = "are" if len(WORDS[labels[0]]) > 1 and counts[labels[0]] > 1 else "is"
    return (
        f"There {verb} {_list(amounts)}.",
        f"This is an aerial view of {SCENES[scene_class]} with {_list(shuffled)}.",
        relation,
        f"{_upper(SCENES[scene_class])} seen from above, with {_list([_kind(label) for label in labels])}.",
        f"One sees {_coloured(first, counts[first.label])}{f' together with {_list(others)}' if others else ''}.",
    )


def keywords(things: list[Thing]) -> tuple[str, ...]:
    """ "attribute target" pairs: the most frequent colour of every label, and how many there are."""
    counts = _counts(things)
    pairs = []
    for label, number in counts.items():
        colour = Counter(t.colour for t in things if t.label == label).most_common(1)[0][0]
        pairs.append(f"{colour} {WORDS[label][-1]}")
        if len(WORDS[label]) > 1:
            pairs.append(_amount(label, number))
    return tuple(pairs)


def _counts(things: list[Thing]) -> dict[str, int]:
    """How many things of each label there are; a canopy without single outlines counts as many."""
    counts: dict[str, int] = {}
    for thing in things:
        counts[thing.label] = counts.get(thing.label, 0) + (1 if thing.outlines or len(WORDS[thing.label]) == 1 else 99)
    return counts


def _kind(label: str) -> str:
    """ "cars", "grass", "a field"."""
    return {"field": "a field", "sea": "the sea"}.get(label, WORDS[label][-1])


def _coloured(thing: Thing, number: int) -> str:
    """ "white cars", "a white car", "green grass"."""
    words = WORDS[thing.label]
    if number > 1 or (len(words) == 1 and thing.label != "field"):
        return f"{'the ' if thing.label == 'sea' else ''}{thing.colour} {words[-1]}"
    return f"{'an' if thing.colour[0] in 'aeiou' else 'a'} {thing.colour} {words[0]}"


def _amount(label: str, number: int) -> str:
    """ "two cars", "many trees", "grass"."""
    words = WORDS[label]
    if len(words) == 1:
        return _kind(label)
    return f"{_NUMBERS[number] if number < len(_NUMBERS) else 'many'} {words[number > 1]}"


def _list(parts: list[str]) -> str:
    """ "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _upper(text: str) -> str:
    """With a capital letter."""
    return text[0].upper() + text[1:]
