"""Labels as rows of zeros and ones. N samples, K classes."""

from ..backend import Array, get_xp


def multi_hot(labels: Array, classes: int, dtype="uint8") -> Array:
    """Labels as rows (N, K) of `dtype`: integer classes (N,) become one-hot rows; rows (N, K) keep their values.

    Raises `ValueError` as `check_targets` does, and for values that `dtype` cannot keep. On a device no values are
    looked at, for that would wait for it: a class that does not exist becomes a row of NaN there, where `dtype` has
    one, and so does the loss.
    """
    xp = get_xp(labels)
    check_targets(labels, classes)
    if labels.ndim == 2:
        rows = labels.astype(dtype)
        if xp.__name__ == "numpy" and rows.dtype.kind in "biu" and (rows != labels).any():
            raise ValueError(f"labels of {labels.dtype}: {rows.dtype} does not keep their values; ask for float64")
        return rows
    hot = labels[:, None] == xp.arange(classes)
    if xp.__name__ == "numpy" or xp.dtype(dtype).kind != "f":
        return hot.astype(dtype)
    return xp.where(hot.any(axis=1, keepdims=True), hot, xp.nan).astype(dtype)


def check_targets(labels: Array, classes: int, most: float = float("inf")) -> None:
    """Raises `ValueError` unless `labels` are whole classes (N,) from 0 to K − 1, or rows (N, K) from 0 to `most`.

    The message names the first row that is wrong, and what would be right. Values are looked at on the host alone.
    """
    if labels.dtype.kind not in "biuf":
        raise ValueError(f"labels of {labels.dtype}: expected numbers")
    if labels.ndim not in (1, 2) or (labels.ndim == 2 and labels.shape[1] != classes):
        hint = "; give labels[:, 0]" if labels.ndim == 2 and labels.shape[1] == 1 else ""
        raise ValueError(f"labels {labels.shape}: expected classes (N,) or rows (N, {classes}){hint}")
    if get_xp(labels).__name__ != "numpy":
        return
    if labels.ndim == 1:
        right = (labels >= 0) & (labels < classes)
        right &= labels == labels // 1 if labels.dtype.kind == "f" else True
        wanted = f"a whole number from 0 to {classes - 1}"
    else:
        right = (labels >= 0) & (labels <= most) & (labels < float("inf"))
        wanted = f"numbers from 0 to {most:g}" if most < float("inf") else "finite numbers from 0"
    if not right.all():
        row = int(right.reshape(len(right), -1).all(axis=1).argmin())
        value = labels[row] if labels.ndim == 1 else labels[row][~right[row]][0]
        raise ValueError(f"labels: row {row} has {value:g}; expected {wanted}")
