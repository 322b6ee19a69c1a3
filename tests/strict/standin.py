"""A strict stand-in for CuPy: NumPy arrays in a wrapper that refuses what CuPy refuses, and some of what it allows.

`xp` is the library, `DeviceArray` its array. Names and parameters are those of cupy_surface.json; what is computed is
NumPy's, so that results must be those of NumPy to the bit. `RULES` says what is refused and by whom. Transfers from the
host and waits for the device are counted in `traffic`, and refused within `no_traffic()`. So are launches: one for each
call that computes or copies, none for a view. `strict.graphs` captures them as CUDA graphs.

Not seen here: rounding, the order of sums, contiguity of results, order among equals of a sort, memory.
"""

import inspect
import operator
from collections import Counter
from contextlib import contextmanager
from functools import cache
from types import ModuleType

import numpy as np
from strict import graphs
from strict.graphs import capture
from strict.surface import read

SURFACE = read()
RULES = {  # what is refused, and whether CuPy does so too or computes something slow, undefined or on the host
    "no such name": "CuPy",  # a function, attribute or method that CuPy has not, or that NumPy has not
    "no such parameter": "CuPy",
    "no such dtype": "CuPy",  # a ufunc without a loop for it
    "no such out": "CuPy",  # a reduction that has the parameter and fails with it
    "host array": "CuPy",  # NumPy's array among those of the device
    "host function": "ours",  # numpy.f(device array): CuPy dispatches, every call of it slowly
    "implicit transfer": "CuPy",  # __array__
    "index": "CuPy",  # a device scalar where Python wants an integer
    "loop": "ours",  # over elements: one kernel and one transfer each
    "host index": "ours",  # a list or NumPy array in brackets: CuPy uploads it each time
    "two masks": "ours",
    "out of range": "ours",  # CuPy wraps around
    "repeated index": "ours",  # in an assignment: which value wins is undefined
    "device random": "ours",  # its streams are not the host's
    "wait": "ours",  # a value read on the host, within `no_traffic`
    "upload": "ours",  # an array from the host, within `no_traffic`
}
UNFILLED = {"empty", "empty_like", "shape", "size", "ndim", "broadcast_to"}
UPLOADING = {"array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray"}
WAITING = {
    *("nonzero", "flatnonzero", "argwhere", "unique", "unique_values", "bincount", "extract", "compress", "trim_zeros"),
    *("percentile", "quantile", "histogram", "digitize", "asnumpy", "setdiff1d", "union1d", "intersect1d"),
}
WRITING = {"fill", "sort", "partition", "put"}  # methods that change their array
SEQUENCES = {  # parameters that hold whole numbers for the host, or a sequence of arrays
    *("shape", "axis", "axes", "newshape", "reps", "pad_width", "repeats", "shift", "window_shape", "tup", "arrays"),
    *("source", "destination", "indices_or_sections", "args", "operands", "xi", "arys"),
}
NUMBERS = {  # parameters for which the host must know the number
    *("shape", "axis", "axes", "N", "M", "k", "n", "start", "stop", "step", "num", "kth", "decimals", "minlength"),
    *("newshape", "axis1", "axis2", "offset", "reps", "shift", "window_shape"),
}
DTYPES = "?bBhHiIlLqQefdFD"
BROKEN_OUT = {"min", "amin", "ptp"}  # CuPy 14 hands `out` on as the dtype: github.com/cupy/cupy/issues/9032
ARRAYS_OF_BOOL = {"allclose", "array_equal", "array_equiv"}  # 0-d arrays in CuPy


class Refused(TypeError):
    """What the stand-in does not do; `rule` is one of `RULES`."""

    def __init__(self, rule: str, what: str):
        super().__init__(f"{rule}: {what}")
        self.rule = rule


class Absent(Refused, AttributeError):
    """A name that is not there, so that `hasattr` answers."""


class Traffic:
    """What went between host and device, by cause."""

    def __init__(self):
        self.uploads, self.waits, self.launches, self.forbidden = Counter(), Counter(), Counter(), False

    def upload(self, cause: str) -> None:
        capture.refuse(f"an upload ({cause})")
        if self.forbidden:
            raise Refused("upload", cause)
        self.uploads[cause] += 1

    def wait(self, cause: str) -> None:
        capture.refuse(f"a wait ({cause})")
        if self.forbidden:
            raise Refused("wait", cause)
        self.waits[cause] += 1

    def launch(self, cause: str) -> None:
        self.launches[cause] += 1


traffic = Traffic()


@contextmanager
def no_traffic():
    """Nothing is uploaded, nobody waits for the device."""
    before, traffic.forbidden = traffic.forbidden, True
    try:
        yield
    finally:
        traffic.forbidden = before


@contextmanager
def counted_launches():
    """What is launched within it, by cause."""
    before, traffic.launches = traffic.launches, Counter()
    found = traffic.launches
    try:
        yield found
    finally:
        traffic.launches = before


# ---- arguments and results ------------------------------------------------------------------------------------------


@cache
def _signature(text: str) -> inspect.Signature:
    """A signature from `surface.parameters`' text."""
    parameters, kind = [], inspect.Parameter.POSITIONAL_OR_KEYWORD
    for part in filter(None, text.split(", ")):
        if part == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
        elif part != "/":
            name = part.strip("*=")
            stars = {0: kind, 1: inspect.Parameter.VAR_POSITIONAL, 2: inspect.Parameter.VAR_KEYWORD}
            own = stars[len(part) - len(part.lstrip("*"))]
            kind = inspect.Parameter.KEYWORD_ONLY if part.startswith("*") else kind
            default = None if part.endswith("=") else inspect.Parameter.empty
            parameters.append(inspect.Parameter(name, own, default=default))
    return inspect.Signature(parameters)


def _bind(name: str, text: str, args: tuple, settings: dict) -> dict:
    try:
        return _signature(text).bind(*args, **settings).arguments
    except TypeError as error:
        raise Refused("no such parameter", f"{name}({text}): {error}") from error


def _inside(value, cause: str, sequence: bool = False):
    """The NumPy value of an argument: device arrays, scalars and dtypes, within sequences where one may stand."""
    if isinstance(value, DeviceArray):
        return value._array
    if isinstance(value, np.ndarray):
        raise Refused("host array", f"{cause} of a numpy.ndarray")
    if isinstance(value, tuple | list):
        if not sequence and not all(isinstance(part, int | None) for part in value):
            raise Refused("host array", f"{cause} of a {type(value).__name__}")
        return type(value)(_inside(part, cause, sequence) for part in value)
    return value


def _wrapped(value):
    """Arrays and NumPy's scalars as device arrays (a reduction stays on the device, 0-d), within tuples too."""
    if isinstance(value, np.ndarray | np.generic):
        return DeviceArray(np.asarray(value))
    if isinstance(value, tuple | list):
        return tuple(map(_wrapped, value))
    return value


def _is_view(found, args: tuple) -> bool:
    """Whether a result is the memory of an argument, or of an array in it."""
    parts = [part for value in args for part in (value if isinstance(value, tuple | list) else (value,))]
    return any(isinstance(part, np.ndarray) and np.may_share_memory(found, part) for part in parts)


def _computed(compute, *written):
    """What `compute()` gives, as device arrays; a stream that captures keeps it. `written` are its arguments."""
    capture.writes(*written)
    value = _wrapped(compute())
    made = [part._array for part in (value if isinstance(value, tuple) else (value,)) if isinstance(part, DeviceArray)]
    capture.keep(compute, *made)
    return value


def _call(name: str, function, text: str, args: tuple, settings: dict, own: tuple = ()):
    """`function` on what `args` hold, or of the array in `own`; refused where CuPy has no such parameter or wants a
    device array."""
    bound = _bind(name, text, args, settings)
    if name in BROKEN_OUT and bound.get("out") is not None:
        raise Refused("no such out", f"{name}(out=...)")
    for key in NUMBERS & bound.keys():
        if any(isinstance(part, DeviceArray) for part in _parts(bound[key])):
            raise Refused("index", f"{name}({key}=device array)")
    for key in ("values", "prepend", "append", "v"):
        if isinstance(bound.get(key), int | float):
            traffic.upload(f"{name}({key}=number)")
    sequences = any(key in SEQUENCES for key in bound)
    args = [_inside(value, name, sequences) for value in args]
    settings = {key: _inside(value, name, sequences) for key, value in settings.items()}
    capture.check(name, args)
    capture.writes(settings.get("out"), *(own if name in WRITING else ()))
    found = function(*args, **settings)
    value = _wrapped(np.asarray(found) if name in ARRAYS_OF_BOOL else found)
    if isinstance(found, np.ndarray | np.generic) and not _is_view(found, (*own, *args)) and name not in UNFILLED:
        traffic.launch(name)
        capture.keep(lambda: function(*args, **settings), value._array)
    elif found is None:  # it writes into its array
        capture.keep(lambda: function(*args, **settings))
    return value


# ---- the library ----------------------------------------------------------------------------------------------------


class Library(ModuleType):
    """CuPy's names, each with NumPy's function behind it."""

    def __init__(self, path: str = ""):
        super().__init__("strict" + path)
        self._path = path.lstrip(".")

    def __getattr__(self, name: str):
        full = f"{self._path}.{name}".lstrip(".")
        if full == "random":
            raise Refused("device random", "draw on the host, see backend.generator")
        if any(known.startswith(full + ".") for known in SURFACE["functions"]):
            return Library("." + full)
        there = any(full in SURFACE[part] for part in ("functions", "ufuncs", "constants"))
        try:
            numpys = operator.attrgetter(full)(np)
        except AttributeError:
            there = False
        if not there or name.startswith("__"):
            raise Absent("no such name", f"cupy.{full}")
        found = numpys
        if full == "ndarray":
            found = DeviceArray
        elif full in SURFACE["ufuncs"] and isinstance(numpys, np.ufunc):
            found = Ufunc(full, numpys)
        elif full not in SURFACE["constants"]:
            found = _function(full, numpys, SURFACE["functions"].get(full, "x"))
        setattr(self, name, found)
        return found


def _function(name: str, numpys, text: str):
    """CuPy's function `name` with the parameters `text`."""

    def function(*args, **settings):
        if name in UPLOADING and args and not isinstance(args[0], DeviceArray):
            _bind(name, text, args, settings)
            traffic.upload(name)
            return DeviceArray(numpys(*args, **settings).copy())
        if name in UPLOADING and len(args) == 1 and numpys(args[0]._array, **settings) is args[0]._array:
            return args[0]
        if name in WAITING or (name == "where" and len(args) == 1) or name.startswith("linalg."):
            traffic.wait(name)
        if name == "repeat" and isinstance(args[1], DeviceArray):
            traffic.wait(name)
        return _call(name, numpys, text, args, settings)

    return function


class Ufunc:
    """CuPy's element-wise function: its loops, and `at` where it has one."""

    def __init__(self, name: str, numpys: np.ufunc):
        inputs, *words = SURFACE["ufuncs"][name].split(" ")
        self.name, self.numpys, self.nin, self.has_at = name, numpys, int(inputs), "at" in words

    def __call__(self, *args, **settings):
        if settings.keys() - {"out", "dtype", "casting"}:
            raise Refused("no such parameter", f"{self.name}({', '.join(settings)})")
        values = [_inside(value, self.name) for value in args]
        self.check(values[: self.nin])
        traffic.launch(self.name)
        capture.check(self.name)
        inside = {key: _inside(value, self.name, True) for key, value in settings.items()}
        out = settings.get("out")
        value = _computed(lambda: self.numpys(*values, **inside), inside.get("out"))
        return out if isinstance(out, DeviceArray) else value

    def check(self, values: list) -> None:
        """Refuses arrays for which CuPy has no loop, or one that gives another dtype than NumPy's."""
        dtypes = tuple(value.dtype for value in values if isinstance(value, np.ndarray))
        if not _agree(self.name, dtypes, len(dtypes) == len(values)):
            raise Refused("no such dtype", f"{self.name} of {', '.join(map(str, dtypes))}")

    def __getattr__(self, name: str):
        if name == "at" and self.has_at:
            return self._at
        raise Absent("no such name", f"cupy.{self.name}.{name}")

    def _at(self, array, index, *values):
        if not all(isinstance(value, DeviceArray) for value in values):
            traffic.upload(f"{self.name}.at(number)")
        traffic.launch(f"{self.name}.at")
        array, key, values = _inside(array, "at"), _key(index, array), [_inside(value, "at") for value in values]
        _computed(lambda: self.numpys.at(array, key, *values), array)


@cache
def _agree(name: str, dtypes: tuple, alone: bool) -> bool:
    """Whether CuPy's first loop that takes arrays of these dtypes, by safe casts, gives NumPy's dtypes.

    With a Python scalar beside them (not `alone`) a loop need only be there.
    """
    loops = [word.split("->") for word in SURFACE["ufuncs"][name].split(" ") if "->" in word]
    fits = [out for takes, out in loops if all(map(np.can_cast, dtypes, takes))]
    if not fits or not alone:
        return bool(fits)
    try:
        found = getattr(np, name).resolve_dtypes((*dtypes, *[None] * len(fits[0])))
    except TypeError:
        return False
    return [np.dtype(char) for char in fits[0]] == list(found[len(dtypes) :])


xp = Library()
xp.cuda = graphs.cuda


# ---- the array ------------------------------------------------------------------------------------------------------

INFIX = {  # operator: ufunc
    **{"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide"},
    **{"mod": "remainder", "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor"},
    **{"lshift": "left_shift", "rshift": "right_shift", "divmod": "divmod", "matmul": ""},
}
COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
PREFIX = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


class DeviceArray:
    """An array of `xp`: it holds NumPy's and shows it to nobody but `get`."""

    __slots__ = ("_array",)
    __hash__ = None

    def __init__(self, array: np.ndarray):
        if array.dtype.char not in DTYPES:
            raise Refused("no such dtype", str(array.dtype))
        self._array = array

    def __array_namespace__(self):
        return xp

    def __repr__(self):
        return f"DeviceArray({self.dtype}, {self.shape})"

    def __str__(self):  # a message with an array in it waits
        traffic.wait("str")
        return str(self._array)

    def __format__(self, how):
        traffic.wait("format")
        return format(self._array, how)

    # what NumPy and Python would do with it

    def __array__(self, *_, **__):
        raise Refused("implicit transfer", "Implicit conversion to a NumPy array is not allowed: use .get()")

    def __array_function__(self, function, *_):
        raise Refused("host function", f"numpy.{function.__name__}")

    def __array_ufunc__(self, ufunc, method, *inputs, **settings):
        if any(isinstance(value, np.ndarray) for value in inputs):
            raise Refused("host array", f"numpy.{ufunc.__name__} of a numpy.ndarray and a device array")
        if method == "__call__" and isinstance(inputs[0], np.generic) and not settings:
            return getattr(xp, ufunc.__name__)(*inputs)  # numpy.float64(2) * x
        raise Refused("host function", f"numpy.{ufunc.__name__}")

    def __iter__(self):
        raise Refused("loop", "over the elements of a device array")

    def __index__(self):
        raise Refused("index", "a device array where Python wants an integer")

    def __len__(self):
        return len(self._array)

    def __float__(self):
        traffic.wait("float")
        return float(self._array)

    def __int__(self):
        traffic.wait("int")
        return int(self._array)

    def __bool__(self):
        traffic.wait("bool")
        return bool(self._array)

    def __complex__(self):
        traffic.wait("complex")
        return complex(self._array)

    # indices

    def __getitem__(self, key):
        if any(isinstance(k, DeviceArray) and k.dtype == bool for k in _parts(key)):
            traffic.wait("mask")
        index = _key(key, self)
        if any(isinstance(part, np.ndarray) for part in _parts(index)):
            traffic.launch("index")
            return _computed(lambda: self._array[index])
        found = self._array[index]
        return DeviceArray(found if isinstance(found, np.ndarray) else self._array[(*_parts(index), ...)])

    def __setitem__(self, key, value):
        if any(isinstance(k, DeviceArray) and k.dtype == bool for k in _parts(key)):
            traffic.wait("mask")  # CuPy counts the places first
        index = _key(key, self)
        places = [k for k in _parts(index) if isinstance(k, np.ndarray)]
        if places and not isinstance(value, DeviceArray):
            traffic.upload("a number for places in an array")
        if any(k.dtype != bool for k in places):
            places = np.arange(self.size).reshape(self.shape)[index]
            if np.unique(places).size < places.size:
                raise Refused("repeated index", "in an assignment the order of which is undefined")
        traffic.launch("assignment")
        value = _inside(value, "assignment")
        _computed(lambda: self._array.__setitem__(index, value), self._array)

    # transfers

    def get(self, **settings):
        _bind("get", SURFACE["methods"]["get"], (), settings)
        traffic.wait("get")
        return self._array.copy()

    def set(self, array):
        traffic.upload("set")
        self._array[...] = array

    def item(self):
        traffic.wait("item")
        return self._array.item()

    def tolist(self):
        traffic.wait("tolist")
        return self._array.tolist()

    def __getattr__(self, name: str):
        methods = SURFACE["methods"]
        if name not in methods and (name not in SURFACE["attributes"] or name.startswith("__")):
            raise Absent("no such name", f"cupy.ndarray.{name}")
        found = getattr(self._array, name, None)
        if found is None or name in ("flat", "data", "base"):  # these would show what is inside
            raise Absent("no such name", f"numpy.ndarray.{name}")
        if not callable(found):
            return _wrapped(found) if isinstance(found, np.ndarray) else found

        def method(*args, **settings):
            if name in WAITING | {"tobytes", "tofile", "dump", "dumps"}:
                traffic.wait(name)
            return _call(name, found, methods[name], args, settings, (self._array,))

        return method


def _parts(key) -> tuple:
    return key if isinstance(key, tuple) else (key,)


def _key(key, array: DeviceArray):
    """A key of NumPy's for one of ours: whole numbers, slices, None, ... and device arrays."""
    parts, masks = [], 0
    for part in _parts(key):
        if isinstance(part, list | np.ndarray):
            raise Refused("host index", f"a {type(part).__name__} in brackets")
        if isinstance(part, DeviceArray):
            masks += part.dtype == bool
            part = part._array
        elif isinstance(part, slice):
            part = slice(*(bound if bound is None else operator.index(bound) for bound in _ends(part)))
        parts.append(part)
    if masks > 1:
        raise Refused("two masks", "in one pair of brackets")
    found = tuple(parts) if isinstance(key, tuple) else parts[0]
    try:
        array._array[found]
    except IndexError as error:
        raise Refused("out of range", str(error)) from error
    return found


def _ends(part: slice) -> tuple:
    return part.start, part.stop, part.step


def _infix(name: str, ufunc: str):
    """The operator on NumPy's arrays, which has short cuts that the ufunc has not (x ** 2)."""
    compute = divmod if name == "divmod" else getattr(operator, f"__{name}__")
    scalars = () if name == "matmul" else (bool, int, float, complex, np.generic)

    def operand(self, other):
        if not isinstance(other, (*scalars, DeviceArray)):
            raise Refused("host array", f"{name} of a device array and a {type(other).__name__}")
        other = _inside(other, name)
        if ufunc:
            getattr(xp, ufunc).check([self._array, other])
        traffic.launch(name)
        capture.check(name)
        return other

    def forward(self, other):
        other = operand(self, other)
        return _computed(lambda: compute(self._array, other))

    def backward(self, other):
        other = operand(self, other)
        return _computed(lambda: compute(other, self._array))

    def in_place(self, other):
        other = operand(self, other)
        _computed(lambda: getattr(np, ufunc)(self._array, other, out=self._array), self._array)
        return self

    setattr(DeviceArray, f"__{name}__", forward)
    setattr(DeviceArray, f"__r{name}__", backward)
    if f"__i{name}__" in SURFACE["attributes"]:
        setattr(DeviceArray, f"__i{name}__", in_place)


for _name, _ufunc in INFIX.items():
    _infix(_name, _ufunc)
for _name, _ufunc in (COMPARISONS | PREFIX).items():
    setattr(DeviceArray, f"__{_name}__", lambda *args, ufunc=_ufunc: getattr(xp, ufunc)(*args))
