"""Operations of modern practice, right, and mistakes in their backwards: what each may rightly be called.

The rows are those of `four_operations`. A row without names is one that no report can name: it says where alone.
"""

import numpy as np

# ---- the factor of Cholesky, from the lower half of a matrix ------------------------------------------------------


def cholesky(a):
    return np.linalg.cholesky(a), (np.linalg.cholesky(a),)


def cholesky_backward(dy, cache):
    (l,) = cache  # noqa: E741
    p = np.tril(l.T @ np.tril(dy))
    p[np.diag_indices(len(l))] /= 2
    inverse = np.linalg.inv(l)
    s = inverse.T @ (p + p.T) @ inverse
    da = np.tril(s)
    da[np.diag_indices(len(l))] /= 2
    return da


def cholesky_inputs(rng):
    a = rng.normal(size=(4, 4))
    return {"a": a @ a.T + 4 * np.eye(4)}


MISTAKES = [
    ("cholesky", "one entry of p", [("    inverse", "    p[1, 0] *= 2\n    inverse")], "", "in column 0"),
    ("cholesky", "one entry of dy",
     [("    p = np", "    dy = dy * (1 + (dy == dy[1, 0]))\n    p = np")], "", "in column 0"),
    ("cholesky", "diagonal not halved",
     [("    da[np.diag_indices(len(l))] /= 2\n", "")], "a: branch", "they are the diagonal"),
    ("cholesky", "the other half", [("da = np.tril(s)", "da = np.triu(s)")], "a: transpose", ".T"),
]  # fmt: skip
