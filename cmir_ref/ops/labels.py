"""Labels as rows of zeros and ones. N samples, K classes."""

from ..backend import Array, get_xp


def multi_hot(labels: Array, classes: int, dtype="uint8") -> Array:
    """Labels as rows (N, K) of `dtype`: integer classes (N,) become one-hot rows; rows (N, K) keep their values."""
    xp = get_xp(labels)
    if labels.ndim == 1:
        labels = labels[:, None] == xp.arange(classes)
    return labels.astype(dtype)
