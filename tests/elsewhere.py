"""A second array library, on the host: its arrays hold NumPy's and refuse to meet NumPy's own, as those of a GPU do."""

from types import ModuleType

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

OPERATORS = {np.add, np.subtract, np.multiply, np.true_divide, np.floor_divide, np.remainder, np.matmul, np.power}
OPERATORS |= {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.negative}
OPERATORS |= {np.invert, np.bitwise_and, np.bitwise_or, np.left_shift}


class Elsewhere(NDArrayOperatorsMixin):
    """An array of `XP`; attributes, methods and operators are those of the array it holds."""

    def __init__(self, array):
        self.array = array

    def __array_namespace__(self):
        return XP

    def __array_ufunc__(self, ufunc, method, *inputs, **settings):
        if ufunc not in OPERATORS:
            raise TypeError(f"numpy.{ufunc.__name__} of an array from elsewhere")
        return _call(getattr(ufunc, method), *inputs, **settings)

    def __array_function__(self, function, *_):
        raise TypeError(f"numpy.{function.__name__} of an array from elsewhere")

    def __array__(self, *_, **__):
        raise TypeError("an array from elsewhere where NumPy wants its own")

    def __getattr__(self, name):
        found = getattr(self.array, name)
        return (lambda *args, **settings: _call(found, *args, **settings)) if callable(found) else _there(found)

    def __getitem__(self, key):
        return _there(self.array[_here(key)])

    def __setitem__(self, key, value):
        self.array[_here(key)] = _here(value)

    def __len__(self):
        return len(self.array)

    def __int__(self):
        return int(self.array)

    def __float__(self):
        return float(self.array)

    def __bool__(self):
        return bool(self.array)


class _Library(ModuleType):
    def __getattr__(self, name):
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found
        return lambda *args, **settings: _call(found, *args, **settings)


XP = _Library("elsewhere")


def _call(function, *args, **settings):
    return _there(function(*_here(args), **{name: _here(value) for name, value in settings.items()}))


def _here(value):
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("an array of NumPy's among those from elsewhere")
    if isinstance(value, tuple | list):
        return type(value)(map(_here, value))
    return value.array if isinstance(value, Elsewhere) else value


def _there(value):
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(map(_there, value))
    return Elsewhere(value) if isinstance(value, np.ndarray | np.generic) else value
