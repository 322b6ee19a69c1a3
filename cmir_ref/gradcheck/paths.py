"""Kinds of mistakes that are a path from the input to the output: one that is missing, or sums along another axis.

What is missing is the difference of two Jacobians. Where it is a simple thing along some axes of the input, the
sentence says through what the path goes.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, combinations, islice, permutations

import numpy as np

from .evidence import Array, Evidence, Jacobians, axes_text, subsets
from .forms import Form, forms, pieces

PROOF = 6  # so many numbers more than unknowns are a proof
FEW_PATHS = 24  # of so many arrays, pairs are tried
MOST_WAYS = 1500  # guesses about the arrays through which a missing path goes
MOST_COLUMNS = 600  # entries of an input for which lines along two axes are tried


def missing_jacobian(e: Evidence) -> tuple[Jacobians, Array, float] | None:
    """(both Jacobians, what ours lacks, how much of it may be rounding)."""
    j = e.jacobians()
    if j.ours.shape != j.right.shape:
        return None
    missing = j.right - j.ours
    tolerance = min(j.close * np.abs(j.right).max(initial=0) + j.rounding, 1e-3 * np.abs(missing).max(initial=0))
    return (j, missing, float(tolerance)) if tolerance >= j.rounding / 8 and missing.any() else None


def direct_path(e: Evidence) -> str | None:
    """x goes into y entry by entry, times something, beside other ways, and this way is missing or wrong."""
    j, missing, tolerance = missing_jacobian(e) or (None, None, None)
    if j is None or j.outputs < e.x.ndim or j.right.shape[j.outputs - e.x.ndim : j.outputs] != e.x.shape:
        return None
    blocks, others = (a.reshape(-1, e.x.size, e.x.size) for a in (missing, j.right))  # of each of several outputs
    some = [k for k, block in enumerate(blocks) if (np.abs(block) > tolerance).any()]
    if len(some) != 1 or e.x.size < 3 or not _off_diagonal(others[some[0]], tolerance):
        return None  # where there is no other way, this is a wrong factor
    diagonal = np.diag(blocks[some[0]]).reshape(e.x.shape)
    if _off_diagonal(blocks[some[0]], tolerance) or (np.abs(diagonal) <= tolerance).any():
        return None
    way = f"the path by which {e.input} goes straight into y, entry by entry,"
    if (np.abs(diagonal - 1) <= tolerance).all():
        return f"{way} is missing: add dy"
    fitting = ((form.words, np.broadcast_to(form.value, e.x.shape)) for form in forms(e) if _fits(form.value, e.x))
    words = next((words for words, a in fitting if (np.abs(diagonal - a) <= tolerance).all()), "")
    return f"{way} is missing: add dy times {words}" if words else f"{way} is off, and no other"


def _off_diagonal(square: Array, tolerance: float) -> bool:
    """Whether a matrix has more than its diagonal."""
    return bool((np.abs(square - np.diag(np.diag(square))) > tolerance).any())


def _fits(a: Array, x: Array) -> bool:
    """Whether an array can be broadcast to x."""
    return a.ndim <= x.ndim and all(m in (1, n) for m, n in zip(a.shape[::-1], x.shape[::-1], strict=False))


def missing_term(e: Evidence) -> tuple[str, str] | None:
    """What is missing has a simple form along some axes of x: a constant, a multiple of x, of y, of another array."""
    j, missing, tolerance = missing_jacobian(e) or (None, None, None)
    if j is None:
        return None
    simple = [("", np.ones(e.x.shape)), *((name, a) for name, a in e.arrays.items() if a.shape == e.x.shape)]
    for basis in chain(combinations(simple, 1), combinations(simple, 2)):
        for axes in reversed(list(subsets(e.x.ndim))):  # the strictest first: the same numbers for all entries
            arrays = [np.broadcast_to(a, missing.shape) for _, a in basis]
            inside = tuple(a + j.outputs for a in axes)
            if spans(arrays, missing, inside, tolerance, whole=len(axes) == e.x.ndim):
                return "missing term", _term_words(e, [name for name, _ in basis], axes)
    every = tuple(range(j.outputs, missing.ndim))
    for form in forms(e) if e.x.size > PROOF else ():
        array = np.broadcast_to(form.value, missing.shape) if form.value.shape == e.x.shape else None
        if array is not None and spans([array], missing, every, tolerance, whole=True):
            return "missing term", f"a term is missing, or wrong: a multiple of {form.words}, the same for all entries"
    return missing_way(e, j, missing, tolerance) or _through_sum(e, j, missing, tolerance)


def _through_sum(e: Evidence, j: Jacobians, missing: Array, tolerance: float) -> tuple[str, str] | None:
    """What is missing is a multiple of y along an axis of y: Σ dy·y, as softmax and all that is normalised have it."""
    if e.y is None or e.y.ndim != j.outputs or not j.outputs:
        return None
    y = np.broadcast_to(j.spread(e.y, tuple(k for k, n in enumerate(e.y.shape) if n > 1)), missing.shape)
    for axis in range(j.outputs):
        if missing.shape[axis] > 2 and spans([y], missing, (axis,), tolerance):
            path = f"as of a path through what {e.result} is divided by: a sum, as in softmax, a norm, a number"
            words = f"a multiple of {e.result} along axis {axis} of {e.result}, {path}"
            return "missing term", f"a term is missing, or wrong: {words}"
    return None


def _term_words(e: Evidence, names: list[str], axes: tuple[int, ...]) -> str:
    words = " plus ".join(f"a multiple of {name}" if name else "a constant" for name in names)
    if len(axes) == e.x.ndim > 1:
        return f"a term is missing, or wrong: {words}, the same for all entries"
    standard = [name for name in names if name and name != e.input and _standardised(e, e.arrays[name], axes)]
    known = {e.input: "x", e.result: "y", "": ""}
    path = PATHS.get(tuple(known.get(name, "another") for name in names), "")
    path = ", a path through a variance or a norm" if standard else path
    return f"a term is missing, or wrong: {words} along {axes_text(axes)}{path}"


def _standardised(e: Evidence, a: Array, axes: tuple[int, ...]) -> bool:
    """Whether an array is x less a constant, times another, along some axes, as x̂ = (x − μ)/σ."""
    return spans([np.ones(e.x.shape), e.x], a, axes, 1e-9 * float(np.abs(a).max()))


PATHS = {
    ("",): ", a path through a mean or a sum",
    ("x",): ", a path through a norm or a variance",
    ("y",): ", a path through the sum that normalises, as Σ dy·y in softmax",
    ("", "x"): ", a path through a variance, or mean and variance (batch normalisation)",
}


def missing_way(e: Evidence, j: Jacobians, missing: Array, tolerance: float) -> tuple[str, str] | None:
    """What is missing comes back through another array, or through two: it is a multiple of it along an axis of x."""
    inside, placed = range(j.outputs, missing.ndim), _placed_pieces(e, j)
    of_form: dict[int, list] = {}
    for one in placed:
        of_form.setdefault(id(one[0]), []).append(one)
    twice = chain.from_iterable(combinations(same, 2) for same in of_form.values())
    turned = filter(_are_turned, twice)
    pairs = combinations(placed[:FEW_PATHS], 2)
    for few in islice(chain(combinations(placed, 1), turned, _blocks_of_one(placed), pairs), MOST_WAYS):
        for axis in inside:
            if all(axis in axes for _, axes in few):
                arrays = [np.broadcast_to(j.spread(form.value, axes), missing.shape) for form, axes in few]
                if not spans(arrays, missing, (axis,), tolerance):
                    continue
                if _are_turned(few) and any(spans([a], j.right, (axis,), tolerance) for a in arrays):
                    return "transpose", f"a transpose of {few[0][0].words} is missing, or one too many"
                if not spans(arrays, j.right, (axis,), tolerance):  # else there is no other way: see `beside_product`
                    return "missing path", _way_words(few)
    return None


def _placed_pieces(e: Evidence, j: Jacobians) -> list[tuple[Form, tuple[int, ...]]]:
    """The forward's arrays and differences of them, on axes of x and of y."""
    inside, known = range(j.outputs, j.right.ndim), pieces(e)
    return [
        (form, axes)
        for form in forms(e)
        for axes in j.places(form.value)
        if (form.words in known or " − " in form.words) and 0 < sum(axis in inside for axis in axes) < len(axes)
    ]


def beside_product(e: Evidence) -> str | None:
    """All that comes back to x is a multiple of one array, as it should be, and the other factor is wrong."""
    j, missing, tolerance = missing_jacobian(e) or (None, None, None)
    known = pieces(e) if j else {}
    for form, axes in (one for one in _placed_pieces(e, j) if one[0].words in known) if j else ():
        array = np.broadcast_to(j.spread(form.value, axes), missing.shape)
        for axis in (axis for axis in axes if axis >= j.outputs):
            if all(spans([array], part, (axis,), tolerance) for part in (missing, j.right)):
                name = form.words
                return f"a multiple of {name}, as it should be, of another one: look at what {name} is multiplied by"
    return None


def _blocks_of_one(placed: list[tuple[Form, tuple[int, ...]]]) -> Iterator[tuple]:
    """Two or three blocks of the same array, as the weights of several gates."""
    blocks = [one for one in placed if ":" in one[0].words and " − " not in one[0].words]
    for n in (2, 3):
        groups = combinations(blocks, n)
        yield from (few for few in groups if len({form.words.split("[")[0] for form, _ in few}) == 1)


def _are_turned(few: Sequence[tuple[Form, tuple[int, ...]]]) -> bool:
    """Whether this is one array and its transpose."""
    return len(few) == 2 and few[0][0] is few[1][0] and few[0][1] == few[1][1][::-1]


def _way_words(few: Sequence[tuple[Form, tuple[int, ...]]]) -> str:
    names = list(dict.fromkeys(form.words for form, _ in few))
    way = f"the path through {' and '.join(names)} is missing, or what comes back along it is wrong"
    return f"{way}; is a transpose of {names[0]} missing?" if _are_turned(few) else way


def spans(basis: list[Array], missing: Array, axes: tuple[int, ...], tolerance: float, *, whole: bool = False) -> bool:
    """Whether `missing` is a combination of the basis on every fibre along `axes`; few numbers are no proof.

    A number that is 0 proves nothing, as in half of a triangular matrix, unless a fibre is the `whole` of x: then the
    zeros are where the basis has them. Short fibres that are multiples of one another prove as much as one of them.
    """
    ends = range(-len(axes), 0)
    fibres = [np.moveaxis(a, axes, ends) for a in (missing, *basis)]
    n = int(np.prod(fibres[0].shape[-len(axes) :]))
    if n <= len(basis):
        return False
    target, *columns = (a.reshape(-1, n) for a in fibres)
    some = (np.abs(target) > tolerance).any(axis=1)
    rows = np.stack([c[some] for c in columns], axis=2)
    target = target[some]
    surplus = (whole | (np.abs(target) > tolerance)).sum(axis=1) - len(basis)
    if surplus.clip(0).sum() < PROOF or (surplus.max() < 2 and _are_multiples(target)):
        return False
    probe = slice(0, 4)  # most guesses fail at once
    return all(_rest(rows[part], target[part]) <= tolerance for part in (probe, slice(None)))


def _are_multiples(rows: Array) -> bool:
    """Whether all rows are multiples of one."""
    largest = rows[np.abs(rows).max(axis=1).argmax()]
    fitted = np.outer(rows @ largest / (largest @ largest), largest)
    return bool((np.abs(rows - fitted) <= 1e-6 * np.abs(rows).max()).all())


def _rest(rows: Array, target: Array) -> float:
    """The largest number that is left of each target after its best combination of columns."""
    fitted = rows @ (np.linalg.pinv(rows) @ target[:, :, None])
    return float(np.abs(target - fitted[:, :, 0]).max(initial=0))


def sums_over_another_axis(e: Evidence) -> str | None:
    """A path through means or variances along one axis of x stands where the forward has them along another."""
    j, missing, tolerance = missing_jacobian(e) or (None, None, None)
    if j is None or e.x.ndim < 2 or e.x.size > MOST_COLUMNS:
        return None
    for here, there in combinations(_sets_of_axes(e.x.ndim), 2):
        if not (right := _axes_of_mean(e, j, here, there, tolerance)):
            continue
        targets = [(missing * scale).reshape(-1, e.x.size) for scale in _scales(e)]
        if any(_spans_lines(basis, here, there, targets, tolerance) for basis in _bases(e)):
            wrong, right = axes_text(there if right == here else here), axes_text(right)
            return f"sums over {wrong} stand where sums over {right} belong: those of the forward run over {right}"
    return None


def _axes_of_mean(
    e: Evidence, j: Jacobians, here: tuple[int, ...], there: tuple[int, ...], tolerance: float
) -> tuple[int, ...] | None:
    """Of two sets of axes, those along which x may move by the same amount, and y stays; None if it is not one."""
    along = (
        axes
        for axes in (here, there)
        if np.abs(j.right.sum(tuple(a + j.outputs for a in axes))).max() <= tolerance * e.x.size
    )
    axes = list(along)
    return axes[0] if len(axes) == 1 else None


def _lines(e: Evidence) -> list[Array]:
    """The arrays that have a number for each line of x, as a gain or 1/σ, in x's shape."""
    fitting = (a for a in e.arrays.values() if _fits(a, e.x) and 1 < a.size < e.x.size and a.all())
    return [np.broadcast_to(a, e.x.shape) for a in fitting]


def _scales(e: Evidence) -> list[Array]:
    """What the missing term can be multiplied by to get rid of a factor of each line."""
    lines = _lines(e)
    return [np.ones(e.x.shape), *lines, *(1 / a for a in lines)]


def _bases(e: Evidence) -> Iterator[list[Array]]:
    """A constant, and a constant with each array of x's shape, or with its product or quotient with one of lines."""
    one = np.ones(e.x.shape)
    yield [one]
    for a in (a for a in e.arrays.values() if a.shape == e.x.shape):
        yield from ([one, a * scale] for scale in _scales(e))


def _spans_lines(
    basis: list[Array], here: tuple[int, ...], there: tuple[int, ...], targets: list[Array], tolerance: float
) -> bool:
    """Whether all rows of a target are combinations of the basis on lines along either of two sets of axes."""
    columns = np.concatenate([_line_columns(a, axes) for a in basis for axes in (here, there)], axis=1)
    svd = np.linalg.svd(columns, full_matrices=False)
    rank = np.linalg.matrix_rank(columns, tol=1e-10 * svd.S.max())
    across = svd.U[:, :rank]
    surplus = len(columns) - rank
    for target in targets:
        some = (np.abs(target) > tolerance).any(axis=1).sum()
        if surplus >= 2 and surplus * some >= PROOF and np.abs(target - target @ across @ across.T).max() <= tolerance:
            return True
    return False


def _sets_of_axes(ndim: int) -> list[tuple[int, ...]]:
    """Each axis, and all axes but one."""
    return list(dict.fromkeys([(a,) for a in range(ndim)] + [s for s in subsets(ndim) if len(s) == ndim - 1]))


def _line_columns(a: Array, axes: tuple[int, ...]) -> Array:
    """A column for each line of an array along `axes`: the array there, 0 elsewhere."""
    lines = np.moveaxis(np.arange(a.size).reshape(a.shape), axes, range(-len(axes), 0))
    lines = lines.reshape(-1, int(np.prod([a.shape[k] for k in axes])))
    columns = np.zeros((a.size, len(lines)))
    for k, line in enumerate(lines):
        columns[line, k] = a.ravel()[line]
    return columns


def summed_over_another(e: Evidence) -> str | None:
    """The gradient of a vector: what each output gives to it is right in sum, and stands along another axis of y."""
    j, n, m = e.jacobians(), _length(e.ours.shape), _length(e.measured.shape)
    if n is None or m is None:
        return None
    shape = j.right.shape[: j.outputs]
    ours, right = j.ours.reshape(*shape, n), j.right.reshape(*shape, m)
    if not j.same(ours.sum(axis=-1), right.sum(axis=-1)):
        return None
    sure = [axes for axes in permutations(range(j.outputs), 2) if shape[axes[0]] == n and shape[axes[1]] == m
            and _lies_along(j, ours, axes[0]) and _lies_along(j, right, axes[1])]  # fmt: skip
    if sure or n == m:
        return _sums_text(e.result, len(shape), sure[0]) if sure else None
    for name, a in ({e.result: np.empty(shape)} | e.arrays).items():
        fitting = [axes for axes in permutations(range(a.ndim), 2) if (a.shape[axes[0]], a.shape[axes[1]]) == (n, m)]
        if len(fitting) == 1:
            return _sums_text(name, a.ndim, fitting[0])
    return f"the numbers add up to the right sum, and are {n} where {e.input} has {m}: summed over the wrong axes"


def _sums_text(name: str, ndim: int, kept: tuple[int, int]) -> str:
    """In words, over which axes the sums run: all but the one that is kept, of ours and as it should be."""
    over, instead = (axes_text(tuple(k for k in range(ndim) if k != axis)) for axis in kept)
    return f"summed over {over} instead of {instead} of {name}"


def _length(shape: tuple[int, ...]) -> int | None:
    """The number of entries of an array that is a vector; None where it is none."""
    lengths = [n for n in shape if n != 1]
    return lengths[0] if len(lengths) == 1 else None


def _lies_along(j: Jacobians, jacobian: Array, axis: int) -> bool:
    """Whether an output gives only to the entry of its own index along an axis of y."""
    shape = [1] * jacobian.ndim
    shape[axis] = shape[-1] = jacobian.shape[-1]
    return j.same(jacobian, jacobian * np.eye(jacobian.shape[-1]).reshape(shape))
