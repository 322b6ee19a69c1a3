"""Products of matrices that are added to an array: NumPy would store each product first and then read it again."""

import ctypes
from collections.abc import Iterable
from functools import cache

import numpy as np


@cache
def _routine(name: str):
    """BLAS' routine as SciPy hands it to compiled code: Python's other threads run during it, which wait while
    `scipy.linalg.blas` computes.
    """
    from scipy.linalg import cython_blas

    capsule, api = cython_blas.__pyx_capi__[name], ctypes.pythonapi
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    address_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", api))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(address_of(capsule, name_of(capsule)))


GEMM = {"f": ("sgemm", ctypes.c_float), "d": ("dgemm", ctypes.c_double)}


def add_products(a: np.ndarray, b: np.ndarray, out: np.ndarray, starts: Iterable[int]) -> None:
    """out[s_t : s_t + P] += a b_tᵀ for every t, with a (P, D), b (T, C, D) and out (rows, C).

    Contiguous arrays of one dtype, float32 or float64. BLAS counts along columns: it computes outᵀ += b_t aᵀ, for which
    b_t as it lies there is turned round.
    """
    name, real = GEMM[a.dtype.char]
    gemm, (p, d), c = _routine(name), a.shape, b.shape[1]
    values = ctypes.c_char(b"T"), ctypes.c_char(b"N"), ctypes.c_int(c), ctypes.c_int(p), ctypes.c_int(d), real(1)
    turned, plain, c, p, d, one = map(ctypes.addressof, values)
    from_a, from_b, to = a.ctypes.data, b.ctypes.data, out.ctypes.data
    for t, start in enumerate(starts):
        gemm(turned, plain, c, p, d, one, from_b + t * b.strides[0], d, from_a, d, one, to + start * out.strides[0], c)
