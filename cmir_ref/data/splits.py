"""Seeded, stratified splits into training, validation and test parts."""

import numpy as np

from ..backend import generator
from ..errors import InputError
from ..records import PARTS, Dataset, Modality, Splits
from .query import digests_of
from .validation import as_multi_hot

PROTOCOLS = ("paper", "recordings", "voices")
ORDERS = 50  # of the voices, that are tried before a split is refused


def split(
    dataset: Dataset, *, protocol: str = "paper", test: float = 0.3, validation: float = 0.1, seed: int
) -> Splits:
    """Share out the samples: `test` of all, `validation` of the rest, the remainder to train on.

    Stratified by label, or by `groups` where labels are multi-hot; every stratum has at least one sample in each part.
    In a paired set both modalities follow the first one's samples. In an unpaired set, sounds and features after the
    first modality follow `protocol`: `paper` (all of them in every part), `recordings` (whole recordings are held out)
    or `voices` (so are all recordings of a voice). Sketches are split as images are, or follow the photos that they
    were traced from (`Dataset.apart`). Raises `InputError` for shares outside 0 … 1, an unknown protocol,
    a class too small to share out, and `voices` without three voices for each label.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol: {protocol!r} is unknown; use {', '.join(PROTOCOLS)}")
    if not 0 < test < 1 or not 0 <= validation < 1:
        raise InputError(f"split: test {test} and validation {validation} must be shares between 0 and 1")
    shares = (test, validation)
    if dataset.pairing is not None:
        return _split_pairs(dataset, shares, seed)
    parts = {}
    for number, (letter, m) in enumerate(dataset.modalities.items()):
        everything = np.arange(len(m.x))
        if number and dataset.apart is not None:
            photo, own = np.asarray(dataset.apart).T
            parts[letter] = tuple(np.sort(own[np.isin(photo, part)]) for part in parts["a"])
        elif number == 0 or m.kind in ("image", "sketch") or protocol == "recordings":
            parts[letter] = _stratified(m, dataset.label_names, everything, shares, seed, number)
        elif protocol == "voices":
            parts[letter] = _by_voice(m, dataset.label_names, shares, seed, number)
        else:
            parts[letter] = (everything,) * 3
    return Splits(*({letter: three[i] for letter, three in parts.items()} for i in range(3)))


def keep_parts(parts: Splits, data: Dataset, before: Splits, known: Dataset) -> Splits:
    """The split `parts` of `data`, but each sample that `known` has, by its id or what it holds, stands in the part
    that `before` gives; of two that hold the same, in the training part if one is there.

    So a run that begins with another's weights is not tested on what that one has learned from. Partners of pairs, and
    what was traced, follow the first modality. What all parts share, as recordings under the protocol "paper", stays.
    Raises `InputError` where a part would be empty.
    """
    out = {}
    for m, modality in data.modalities.items():
        old, new = ([rows[m] for rows in three] for three in (before, parts)) if m in known.modalities else ([], [])
        follows = data.pairing if data.pairing is not None else data.apart
        if m != "a" and follows is not None:
            first, second = np.asarray(follows).T
            out[m] = [np.sort(second[np.isin(first, rows)]) for rows in out["a"]]
        elif not old or any(len(np.intersect1d(rows[0], rows[-1])) for rows in (old, new)):
            out[m] = [rows[m] for rows in parts]
        else:
            ids = known.modalities[m].ids
            part_of = {ids[i]: k for k, rows in enumerate(old) for i in rows}
            renamed = np.array([i for i, name in enumerate(modality.ids) if name not in part_of], int)
            if renamed.size and known.modalities[m].digests is not None:  # earlier versions wrote none
                digests = known.modalities[m].digests
                holds = {digests[i].item(): k for k in (2, 1, 0) for i in old[k]}
                found = zip(renamed.tolist(), digests_of(modality.x, renamed).tolist(), strict=True)
                part_of |= {modality.ids[i]: holds[digest] for i, digest in found if digest in holds}
            number = np.empty(len(modality.ids), int)
            for k, rows in enumerate(new):
                number[rows] = k
            number = np.array([part_of.get(name, k) for name, k in zip(modality.ids, number.tolist(), strict=True)])
            out[m] = [np.flatnonzero(number == k) for k in range(len(PARTS))]
        empty = [part for part, was, rows in zip(PARTS, parts, out[m], strict=True) if len(was[m]) and not len(rows)]
        if empty:
            raise InputError(
                f"start_from: that run has all samples of {modality.name} in other parts; none is left for {empty[0]}"
            )
    return Splits(*({m: rows[k] for m, rows in out.items()} for k in range(len(PARTS))))


def _split_pairs(dataset: Dataset, shares: tuple[float, float], seed: int) -> Splits:
    """A split of the first modality's paired samples, which their partners follow."""
    a, b = np.asarray(dataset.pairing).T
    if len(np.unique(b)) < len(b):  # else the partners of one sample, however many, follow it
        twice = dataset.modalities["b"].ids[int(np.argmax(np.bincount(b) > 1))]
        raise InputError(f"{twice} has more than one partner, so that a split could not keep the parts apart")
    parts = _stratified(dataset.modalities["a"], dataset.label_names, np.unique(a), shares, seed, 0)
    return Splits(*({"a": part, "b": np.sort(b[np.isin(a, part)])} for part in parts))


def hold_out(dataset: Dataset, share: float, *, seed: int) -> Splits:
    """The parts that a paired data set names, with a `share` of the training part for validation instead, stratified as
    `split` is."""
    parts, (a, b) = dataset.parts, np.asarray(dataset.pairing).T
    rows = _stratified(dataset.modalities["a"], dataset.label_names, parts.train["a"], (share, 0), seed, 0)
    train, _, held = ({"a": part, "b": np.sort(b[np.isin(a, part)])} for part in rows)
    return Splits(train, held, parts.test)


def _sizes(n: int, shares: tuple[float, float], what: str) -> tuple[int, int, int]:
    """How many of n go to training, validation and test: rounded shares, but at least one wherever a share is asked."""
    test, validation = shares
    smallest = 2 + (validation > 0)
    if n < smallest:
        raise InputError(f"{what}: only {n}, too few for a split; at least {smallest} are needed")
    tested = min(max(1, int(test * n + 0.5)), n - smallest + 1)
    validated = min(max(1, int(validation * (n - tested) + 0.5)), n - tested - 1) if validation else 0
    return n - tested - validated, validated, tested


def _stratified(
    m: Modality, label_names: tuple[str, ...], samples: np.ndarray, shares: tuple[float, float], seed: int, number: int
) -> tuple[np.ndarray, ...]:
    """`samples` of a modality in three sorted parts, drawn within each label, or group where labels are multi-hot."""
    strata = np.asarray(m.groups if np.ndim(m.labels) == 2 else m.labels)[samples]
    rng = generator(seed, "split", number)
    parts = []
    for stratum in np.unique(strata):
        members = rng.permutation(samples[strata == stratum])
        called = stratum if np.ndim(m.labels) == 2 else label_names[stratum]
        cuts = np.cumsum(_sizes(len(members), shares, f"{m.name} samples of class {str(called)!r}"))[:2]
        parts.append(np.split(members, cuts))
    return tuple(np.sort(np.concatenate(part)) for part in zip(*parts, strict=True))


def _by_voice(
    m: Modality, label_names: tuple[str, ...], shares: tuple[float, float], seed: int, number: int
) -> tuple[np.ndarray, ...]:
    """A modality's samples in three sorted parts that have no voice in common, each with every label that occurs.

    The label with the fewest voices left goes first, and each of its voices to the part that lacks most of that label
    (iterative stratification, Sechidis, Tsoumakas & Vlahavas, ECML 2011). Where a part ends without a label, the voices
    are shared out again in another order.
    """
    instead = "use protocol recordings or paper instead"
    voices, voice = np.unique(m.groups, return_inverse=True)
    if len(voices) < 3:
        raise InputError(f"{m.name}: protocol voices needs at least 3 distinct voices, found {len(voices)}; {instead}")
    hot = as_multi_hot(m.labels, len(label_names))
    says = np.zeros((len(voices), len(label_names)), int)
    np.add.at(says, voice, hot)
    says = np.minimum(says, 1)  # voices are shared out, not recordings: a voice may say a label many times
    occur = np.flatnonzero(says.any(axis=0))
    lacking = np.zeros((3, len(label_names)), int)
    for c in occur:
        what = f"{m.name}, voices that say {label_names[c]!r}"
        try:
            lacking[:, c] = _sizes(says[:, c].sum(), shares, what)
        except InputError as error:
            raise InputError(f"{error}; {instead}") from None
    rng = generator(seed, "split", number)
    for _ in range(ORDERS):
        part = _share_voices(says, lacking.copy(), rng.permutation(len(voices)))
        missing = [(k, c) for k in range(3) if k != 1 or shares[1] for c in occur if not says[part == k, c].any()]
        if not missing:
            return tuple(np.flatnonzero(part[voice] == k) for k in range(3))
    k, c = missing[0]
    name = ("training", "validation", "test")[k]
    raise InputError(f"{m.name}: no voice is left that says {label_names[c]!r} for {name}; {instead}")


def _share_voices(says: np.ndarray, lacking: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The part (V,) of each voice, for what each voice says (V, K), in one order of the voices.

    `lacking` (3, K), how many voices of each label each part still lacks, is used up. Its columns add up to the voices
    that are left, so that a part that lacks none of a label from the beginning is never given a voice for it.
    """
    part = np.full(len(says), -1)
    while (left := order[part[order] < 0]).size:
        remaining = says[left].sum(axis=0)
        if not remaining.any():  # voices that say none of the labels
            part[left] = 0
            break
        rarest = np.argmin(np.where(remaining > 0, remaining, len(says) + 1))
        for v in left[says[left, rarest] > 0]:
            part[v] = np.argmax(lacking[:, rarest])
            lacking[part[v]] -= says[v]
    return part
