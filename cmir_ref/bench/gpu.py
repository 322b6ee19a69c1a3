"""What `cmir-ref bench --device cuda` measures; `python -m cmir_ref.bench.gpu [KIND …]` is short for it.

    numbers   worst relative difference from NumPy: gradients, Adam's kernel, a ranking
    calls     one small operation: what the host needs to ask for it, and all
    memory    `column_sum` beside a plain sum over the same axes, a copy, im2col, a large product
    conv      a step of stage 1 beside PyTorch with cuDNN, both without TF32
    latent    a step of stage 2 beside PyTorch
    epoch     as many pairs as DSRSID has, generated ones over and over: placed on the device, or sent batch by batch

`pytest -m gpu` compares the rest of the numbers. A share of a peak is what a step needs at the least over what it took:
the operations of its products; and each block's input, convolution output and output, moved once forward and twice
backward.
"""

import gc
import math
import os
import runpy
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from ..backend import describe_gpu, library, to_device, to_host
from ..cmirnet.stage1 import init_pretrainer, stage1_task
from ..cmirnet.stage2 import init_stage2, latent_settings, stage2_task
from ..config import load_config
from ..data import load
from ..kernels import adam_step_kernel
from ..ops.conv import im2col
from ..ops.sums import column_sum
from ..retrieval import evaluate_direction
from ..training.adam import adam_step
from ..training.inputs import Source, fit_normaliser
from ..training.loop import new_state, train_epochs
from ..training.transfer import OnDevice
from .peers import Entry, relative_differences, require_equal
from .steps import (
    CHECKED,
    ENTRIES,
    FEATURES,
    LAYOUTS,
    SHAPES,
    Step,
    conv_step,
    draw_conv,
    draw_latent,
    latent_step,
    torch_conv_step,
    torch_latent_step,
)

SAME = {"float64": 1e-9, "float32": 1e-3}  # relative; the second a product of rounding and of winners it decides


class Size(NamedTuple):
    """How much is measured."""

    steps: tuple[tuple[str, str], ...] = tuple(ENTRIES)
    batches: tuple[int, ...] = (64, 512)
    numbers: int = 2**26  # of the arrays that are summed and copied
    side: int = 8192  # of the large product
    pairs: int = 80_000  # of an epoch: DSRSID's
    scenes: int = 80  # of them generated
    turns: int = 5
    seconds: float = 0.5  # of a turn


FULL_SIZE = Size()


class Time(NamedTuple):
    """Seconds of one step: until the host has asked an idle device for it, and until it is done."""

    host: float
    whole: float


# ---- measuring ------------------------------------------------------------------------------------------------------


def wait(xp) -> None:
    """Until the device has done everything, PyTorch's work too."""
    if xp.__name__ == "cupy":
        xp.cuda.runtime.deviceSynchronize()


def time_steps(steps: dict[str, Callable[[], object]], xp, size: Size) -> dict[str, Time]:
    """Medians over turns, each step in turn, as often as fills a turn's seconds."""
    counts, few, times = {}, {}, {name: [] for name in steps}
    for name, step in steps.items():
        for _ in range(2):  # the first compiles
            step()
        wait(xp)
        start = time.perf_counter()
        step()
        wait(xp)
        once = max(time.perf_counter() - start, 1e-9)
        counts[name], few[name] = (max(1, min(most, int(s / once))) for most, s in ((1000, size.seconds), (100, 1e-3)))
    for _ in range(size.turns):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(few[name]):  # a device takes about a thousand kernels in advance; then the host waits
                step()
            asked = (time.perf_counter() - start) / few[name]
            wait(xp)
            start = time.perf_counter()
            for _ in range(counts[name]):
                step()
            wait(xp)
            times[name].append(Time(asked, (time.perf_counter() - start) / counts[name]))
    return {name: Time(*(median(column) for column in zip(*turns, strict=True))) for name, turns in times.items()}


class Peaks(NamedTuple):
    """What the device could do at the most: bytes and float32 operations a second; None where it does not tell."""

    bandwidth: float | None
    arithmetic: float | None


def peaks(xp) -> Peaks:
    """By clocks and widths: two transfers a memory clock, a fused multiply-add a clock and lane."""
    if xp.__name__ != "cupy":
        return Peaks(None, None)
    of, (major, minor) = xp.cuda.Device().attributes, divmod(int(xp.cuda.Device().compute_capability), 10)
    lanes = 64 if (major, minor) in ((7, 0), (7, 5), (8, 0)) else 128
    clocks = of.get("MemoryClockRate", 0), of.get("ClockRate", 0)  # kHz
    bandwidth = 2e3 * clocks[0] * of.get("GlobalMemoryBusWidth", 0) / 8
    return Peaks(bandwidth or None, 2e3 * clocks[1] * of["MultiProcessorCount"] * lanes or None)


def share_of_peak(amount: float, seconds: float, peak: float | None) -> float | None:
    """The share of `peak` that `amount` in so many seconds is; None where the peak is not known."""
    return None if peak is None else amount / seconds / peak


# ---- what a step needs, and PyTorch ---------------------------------------------------------------------------------


def least_work(net: str, order: str, batch: int) -> tuple[float, float]:
    """(bytes, operations) that a step of stage 1 needs at the least, as the top of this file says."""
    network = draw_conv(SHAPES[net], order, 1)[0]
    (h, w, c), moved, operations = SHAPES[net], 0, 0
    for i, (d, pool) in enumerate(zip(network.arch.channels, network.arch.pools, strict=True)):
        product = 2 * 9 * c * d * h * w
        operations += product * (2 if i == 0 else 3)  # nobody needs the gradient of an image
        moved += 3 * (h * w * c + h * w * d + h // pool * (w // pool) * d)
        h, w, c = h // pool, w // pool, d
    operations += 3 * 2 * h * w * c * FEATURES
    return 4.0 * batch * moved, float(batch * operations)


def least_work_latent(batch: int) -> tuple[float, float]:
    """(bytes, operations) of a step of stage 2 at the least.

    3 × 2 operations a weight and row, and Adam's seven passes over the parameters.
    """
    _, params, _, _ = draw_latent(1)
    weights = sum(v.size for v in params.values() if v.ndim == 2)
    return 4.0 * 7 * sum(v.size for v in params.values()), 6.0 * batch * weights


def torch_or_none():
    """PyTorch with TF32 off, or None where it is not installed or sees no GPU."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    return torch


def torch_device(torch) -> str:
    """The device that PyTorch computes on."""
    return "cuda" if torch and torch.cuda.is_available() else "cpu"


# ---- what is measured -----------------------------------------------------------------------------------------------


def measure_conv(xp, size: Size) -> Iterator[Entry]:
    """`cuda/conv/pan/paper/64` … `cuda/conv/mul/released-frozen/512`, each against the better of PyTorch's layouts."""
    torch = torch_or_none()
    for batch in size.batches:
        for net, order in size.steps:
            others = {
                layout: partial(torch_conv_step, SHAPES[net], order, layout=layout, device=torch_device(torch))
                for layout in LAYOUTS
            }
            sides = {"ours": partial(conv_step, SHAPES[net], order, xp=xp), **(others if torch else {})}
            yield measure_step(
                f"cuda/conv/{net}/{order}/{batch}", sides, batch, least_work(net, order, batch), xp, size
            )


def measure_latent(xp, size: Size) -> Iterator[Entry]:
    """`cuda/latent/64` and `cuda/latent/512`."""
    torch = torch_or_none()
    for batch in size.batches:
        others = {"": partial(torch_latent_step, device=torch_device(torch))}
        sides = {"ours": partial(latent_step, xp=xp), **(others if torch else {})}
        yield measure_step(f"cuda/latent/{batch}", sides, batch, least_work_latent(batch), xp, size)


def measure_step(
    name: str, sides: dict[str, Callable[[int], Step]], batch: int, least: tuple[float, float], xp, size: Size
) -> Entry:
    """Our step beside PyTorch's fastest. A side takes the batch size and gives its step; ours is `sides["ours"]`.

    Raises `ResultsDiffer` where gradients differ. Where the device has no room, the entry says so and has no figures.
    """
    torch = torch_or_none()
    try:
        require_equal_gradients(name, sides, min(CHECKED, batch))
        release(xp, torch)
        times, memory = time_and_memory(sides, batch, xp, torch, size)
    except Exception as error:
        if "OutOfMemory" not in type(error).__name__:
            raise
        return Entry(name, note=f"out of memory ({error})")
    ours, best = times.pop("ours"), min(times, key=lambda key: times[key].whole, default=None)
    shares = [share_of_peak(amount, ours.whole, peak) for amount, peak in zip(least, peaks(xp), strict=True)]
    notes = [f"host {1e3 * ours.host:.2f} ms"]
    notes += [f"{s:.1%} of {kind}" for s, kind in zip(shares, ("bandwidth", "arithmetic"), strict=True) if s]
    entry = Entry(name, 1e3 * ours.whole, peak_mb=memory["ours"], note=", ".join(notes))
    if best is None:
        return entry
    return entry._replace(
        other=f"torch {torch.__version__} {best}".strip(),
        other_ms=1e3 * times[best].whole,
        ratio=ours.whole / times[best].whole,
        other_peak_mb=memory[best],
    )


def require_equal_gradients(name: str, sides: dict[str, Callable[[int], Step]], batch: int) -> None:
    """Raises `ResultsDiffer` where a side's gradients of a small batch differ from ours, all in float64.

    PyTorch's are always; in float32 rounding decides some winner of a pool, and one of them moves a gradient by 4e-3.
    """
    exact = sides | {"ours": partial(sides["ours"], dtype="float64")}
    results = {key: {k: to_host(v) for k, v in make(batch).gradients(batch).items()} for key, make in exact.items()}
    for key in sides:
        require_equal(results["ours"], results[key], f"{name}: ours and {key}", SAME["float64"])


def time_and_memory(sides: dict[str, Callable[[int], Step]], batch: int, xp, torch, size: Size):
    """(times, MiB of device memory) of each side."""
    steps, memory = {}, {}
    for key, make in sides.items():
        release(xp, torch)  # or a side takes, uncounted, what another kept in reserve
        before = reserved_mb(xp, torch)
        step = make(batch)
        step.step()
        wait(xp)
        steps[key], memory[key] = step.step, reserved_mb(xp, torch) - before
    times = time_steps(steps, xp, size)
    del steps, step
    release(xp, torch)
    return times, memory


def reserved_mb(xp, torch) -> float:
    """What both libraries have reserved on the device, in MiB."""
    ours = xp.get_default_memory_pool().total_bytes() if xp.__name__ == "cupy" else 0
    theirs = torch.cuda.memory_reserved() if torch and torch.cuda.is_available() else 0
    return (ours + theirs) / 2**20


def release(xp, torch) -> None:
    """Gives back what is reserved and not in use."""
    gc.collect()
    if xp.__name__ == "cupy":
        xp.get_default_memory_pool().free_all_blocks()
    if torch:
        torch.cuda.empty_cache()


def measure_numbers(xp, size: Size) -> Iterator[Entry]:
    """`cuda/numbers/…`: how much results differ from NumPy's, relative to the largest value of each array."""

    def entry(name, dtype, ours, theirs):
        ours, theirs = ({key: to_host(value) for key, value in side.items()} for side in (ours, theirs))
        error = float(np.max(list(relative_differences(ours, theirs).values())))  # NaN if one of them is
        same = bool(error <= SAME[dtype])
        return Entry(f"cuda/numbers/{name}/{dtype}", other=f"numpy {np.__version__}", error=error, same=same)

    for dtype in SAME:
        for net, order in size.steps:
            ours, theirs = (conv_step(SHAPES[net], order, CHECKED, on, dtype).gradients() for on in (xp, np))
            yield entry(f"conv/{net}/{order}", dtype, ours, theirs)
        ours, theirs = (latent_step(64, on, dtype).gradients() for on in (xp, np))
        yield entry("latent", dtype, ours, theirs)
        rng = np.random.default_rng(0)
        arrays = {name: rng.random(1000).astype(dtype) for name in ("theta", "g", "m", "v", "decay")}
        settings = {"lr": 1e-2, "rate": 1e-2, "epsilon": 1e-8, "share_m": 0.1, "share_v": 1e-3}
        ours, theirs = ({name: to_device(a.copy(), on) for name, a in arrays.items()} for on in (xp, np))
        (adam_step_kernel if xp.__name__ == "cupy" else adam_step)(**ours, **settings)
        adam_step(**theirs, **settings)
        yield entry("adam", dtype, ours, theirs)
        v, y = [rng.random((200, 16)).astype(dtype) for _ in "ab"], [rng.integers(0, 8, 200) for _ in "ab"]
        ours, theirs = (
            evaluate_direction(*(to_device(part, on) for part in (v[0], y[0], v[1], y[1]))) for on in (xp, np)
        )
        figures = [key for key, value in theirs.items() if isinstance(value, float)]
        yield entry("ranking", dtype, *({key: np.array(side[key]) for key in figures} for side in (ours, theirs)))


def measure_calls(xp, size: Size) -> Iterator[Entry]:
    """`cuda/calls/…`: one small operation; what the host needs to ask for it bounds a step of many."""
    x = xp.ones((64, 128), dtype="float32")
    w, index = xp.ones((128, 128), dtype="float32"), np.arange(64)
    theta = [xp.ones(1000, dtype="float32") for _ in range(4)]
    settings = {"decay": 0.0, "lr": 1e-3, "rate": 1e-3, "epsilon": 1e-8, "share_m": 0.1, "share_v": 1e-3}
    step = adam_step_kernel if xp.__name__ == "cupy" else adam_step
    operations = {
        "x + x": lambda: x + x,
        "x @ w": lambda: x @ w,
        "x.sum(axis=0)": lambda: x.sum(axis=0),
        "x.sum()": lambda: x.sum(),
        "x[device index]": partial(x.__getitem__, to_device(index, xp)),
        "64 indices sent": lambda: to_device(index, xp),
        "a kernel (Adam)": lambda: step(*theta, **settings),
    }
    for name, t in time_steps(operations, xp, size._replace(seconds=min(size.seconds, 0.05))).items():
        yield Entry(f"cuda/calls/{name}", 1e3 * t.whole, note=f"host {1e6 * t.host:.1f} µs")


def measure_memory(xp, size: Size) -> Iterator[Entry]:
    """`cuda/memory/…`: long sums in two stages beside one, copies, a large product, with shares of the peaks."""
    bandwidth, arithmetic = peaks(xp)
    side = max(1, math.isqrt(size.numbers // 2**11))
    x = xp.ones((64, side, side, 32), dtype="float32")
    image = xp.ones((max(1, size.numbers // 2**20), 64, 64, 32), dtype="float32")
    a = xp.ones((size.side, size.side), dtype="float32")
    one_stage = "x.sum(axis=(0, 1, 2))"
    operations = {  # name: call, bytes that it moves or operations that it makes, peak, unit, units
        "column_sum": (lambda: column_sum(x), x.nbytes, bandwidth, "GB/s", 1e9),
        one_stage: (lambda: x.sum(axis=(0, 1, 2)), x.nbytes, bandwidth, "GB/s", 1e9),
        "copy": (lambda: x.copy(), 2 * x.nbytes, bandwidth, "GB/s", 1e9),
        "im2col 3 × 3": (lambda: im2col(image, 3), 10 * image.nbytes, bandwidth, "GB/s", 1e9),
        "product": (lambda: a @ a, 2 * size.side**3, arithmetic, "TFLOP/s", 1e12),
    }
    times = time_steps({name: operation[0] for name, operation in operations.items()}, xp, size)
    for name, (_, amount, peak, unit, units) in operations.items():
        seconds = times[name].whole
        note = f"{amount / seconds / units:.4g} {unit}"
        note += "" if peak is None else f", {share_of_peak(amount, seconds, peak):.0%} of the peak"
        entry = Entry(f"cuda/memory/{name}", 1e3 * seconds, note=note)
        if name == "column_sum":
            other = times[one_stage].whole
            entry = entry._replace(other=one_stage, other_ms=1e3 * other, ratio=seconds / other)
        yield entry


class Cycled:
    """Samples over and over: N of them out of a few, read by index arrays as a data set is."""

    def __init__(self, x: np.ndarray, count: int):
        self.x, self.shape, self.dtype = x, (count, *x.shape[1:]), x.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        return self.x[index % len(self.x)]


def measure_epochs(xp, size: Size) -> Iterator[Entry]:
    """`cuda/epoch/…`: one of each stage on as many pairs as DSRSID has, validation included; 5/80 of them validate."""
    data = load("pan-mul", None, dataset="scenes", count=size.scenes)
    settings = ["stage1.epochs=1", "stage2.epochs=1"]
    config, rows = load_config("pan-mul", settings), np.arange(size.pairs)
    train, validation = rows[size.pairs // 16 :], rows[: size.pairs // 16]
    features = {}
    for letter, m in data.modalities.items():
        whole = Cycled(np.asarray(m.x[np.arange(len(m.x))]), size.pairs)
        labels = m.labels[rows % len(m.x)]
        plain = Source(whole, labels, m.kind, fit_normaliser(whole.x, np.arange(len(whole.x))))
        start = time.perf_counter()
        placed = plain.on(xp)
        wait(xp)
        gib = math.prod(whole.shape) * whole.dtype.itemsize / 2**30
        yield Entry(f"cuda/epoch/{m.name}/placed", 1e3 * (time.perf_counter() - start), note=f"{gib:.2f} GiB, once")
        streamed = placed._replace(x=OnDevice(whole, xp, share=0))
        for how, source in (("on the device", placed), ("batch by batch", streamed)):
            name = f"gpu.{m.name}"
            task = stage1_task(config, name, source, train, validation, xp)
            init = init_pretrainer(config, name, m.x.shape[1:], len(data.label_names))
            yield time_epoch(f"{m.name}/stage 1 {how}", task, init, xp)
        features[letter] = np.random.default_rng(0).random((size.pairs, config.d_z), dtype=np.float32)
        del placed, streamed, source, task
        release(xp, torch_or_none())
    labels = {letter: m.labels[rows % len(m.x)] for letter, m in data.modalities.items()}
    sources = {letter: Source(z, labels[letter], "features", lambda z: z) for letter, z in features.items()}
    shapes = dict.fromkeys(labels, (config.d_z,))
    network = latent_settings(config, shapes, labels)
    pairs = np.stack([train, train], axis=1)
    task = stage2_task(config, network, sources, lambda epoch: pairs, len(pairs), dict.fromkeys(labels, validation), xp)
    yield time_epoch("stage 2", task, init_stage2(config, network, shapes, len(data.label_names)), xp)


def time_epoch(name: str, task, init, xp) -> Entry:
    """The first epoch of a task, as the training loop reports it."""
    state, reports = new_state(*({k: to_device(v, xp) for k, v in part.items()} for part in init)), []
    train_epochs(task, state, on_epoch=lambda state, report: reports.append(report))
    steps = f"{task.steps_per_epoch} steps of {task.schedule.batch_size}"
    note = f"{steps}, loss {reports[0].parts['loss']:.3g}"
    return Entry(f"cuda/epoch/{name}", 1e3 * reports[0].seconds, note=note)


# ---- all of it ------------------------------------------------------------------------------------------------------

GPU_KINDS = {
    "numbers": measure_numbers,
    "calls": measure_calls,
    "memory": measure_memory,
    "conv": measure_conv,
    "latent": measure_latent,
    "epoch": measure_epochs,
}


def gpu_library():
    """CuPy that multiplies in float32, not in TF32. Raises `GPUUnavailable`."""
    os.environ["CUPY_TF32"] = "0"  # read at CuPy's first product
    return library("cuda")


def gpu_entries(kinds: Sequence[str] = (), size: Size = FULL_SIZE, xp=None) -> Iterator[Entry]:
    """The entries of `kinds` (all of them by default), as they are measured.

    Raises `GPUUnavailable` where there is no GPU, `ResultsDiffer` where gradients differ from PyTorch's.
    """
    xp = xp or gpu_library()
    for kind in kinds or GPU_KINDS:
        yield from GPU_KINDS[kind](xp, size)


def gpu_machine(xp=None) -> list[str]:
    """What the figures depend on, a line each: GPU, versions, peaks by its clocks, compiled kernels."""
    xp, torch = xp or gpu_library(), torch_or_none()
    bandwidth, arithmetic = peaks(xp)
    facts = describe_gpu(xp) if xp.__name__ == "cupy" else {}
    facts |= {"numpy": np.__version__, xp.__name__: getattr(xp, "__version__", "")}
    facts["torch"] = torch.__version__ if torch else "not here, or sees no GPU: nothing to compare with"
    facts["peak bandwidth"] = "unknown" if bandwidth is None else f"{bandwidth / 1e9:.4g} GB/s, by its clocks"
    facts["peak float32"] = "unknown" if arithmetic is None else f"{arithmetic / 1e12:.4g} TFLOP/s, by its clocks"
    facts["compiled kernels"] = compiled_kernels()
    return [f"{name}: {fact}" for name, fact in facts.items()]


def compiled_kernels() -> str:
    """Where CuPy keeps what it compiled: about 0.3 s a kernel that the next machine need not spend."""
    folder = Path(os.environ.get("CUPY_CACHE_DIR", Path.home() / ".cupy" / "kernel_cache"))
    paths = [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []
    mb = sum(path.stat().st_size for path in paths) / 2**20
    return f"{len(paths)} files, {mb:.1f} MiB in {folder}; CUPY_CACHE_DIR names it"


if __name__ == "__main__":
    sys.argv[1:1] = ["bench", "--device", "cuda"]
    runpy.run_module("cmir_ref", run_name="__main__")
