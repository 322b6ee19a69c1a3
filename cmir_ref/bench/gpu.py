"""What only a GPU can show, in one call: `python -m cmir_ref.bench.gpu [--json]`.

    what is there       GPU, memory, versions, peaks by its clocks
    same numbers        worst relative difference from NumPy: gradients, Adam's kernel, embeddings' ranking
    cost of a call      host and whole time of one small operation
    memory and products `column_sum` beside a plain sum over the same axes, im2col, a large product
    steps               stage 1 and stage 2 beside PyTorch with cuDNN, both without TF32
    an epoch            as large as DSRSID: generated pairs over and over, on the device once and sent batch by batch
    compiled kernels    where they are kept: a folder to carry to the next machine

The rest of the numbers are compared by `pytest -m gpu`. A share of a peak is what a step needs at the least over what
it took: the products' operations; and each block's input, convolution output and output, moved once forward and twice
backward.
"""

import argparse
import gc
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from ..backend import GPUUnavailable, describe, library, to_device, to_host
from ..cmirnet.stage1 import init_pretrainer, stage1_task
from ..cmirnet.stage2 import init_stage2, latent_settings, stage2_task
from ..config import load_config
from ..data import load
from ..kernels import adam_step_kernel
from ..ops.conv import im2col
from ..ops.sums import column_sum
from ..retrieval import evaluate_direction
from ..training.adam import adam_step
from ..training.inputs import OnDevice, Source, fit_normaliser
from ..training.loop import new_state, train_epochs
from .peers import compare
from .steps import (
    CHECKED,
    ENTRIES,
    FEATURES,
    LAYOUTS,
    SHAPES,
    Step,
    conv_step,
    drawn,
    drawn_latent,
    latent_step,
    torch_conv_step,
    torch_latent_step,
)

DIFFERENT = "DIFFERENT"
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


SIZE = Size()


class Row(NamedTuple):
    """One line of the table."""

    part: str
    name: str
    value: float | str
    unit: str = ""
    note: str = ""


class Entry(NamedTuple):
    """A line of `cmir-ref bench --device cuda`: medians of interleaved steps; None where no PyTorch is, or no room."""

    name: str
    ours_ms: float | None
    other: str | None
    other_ms: float | None
    ratio: float | None
    peak_mb: float | None  # of the device's memory, as each library reserves it
    other_peak_mb: float | None
    host_ms: float | None  # of ours: what the host needs to ask for it
    bandwidth: float | None  # shares of the peaks
    arithmetic: float | None


class Time(NamedTuple):
    """Seconds of one step: until the host has asked an idle device for it, and until it is done."""

    host: float
    whole: float


# ---- measuring ------------------------------------------------------------------------------------------------------


def wait(xp) -> None:
    """Until the device has done everything, PyTorch's work too."""
    if xp.__name__ == "cupy":
        xp.cuda.runtime.deviceSynchronize()


def timed(steps: dict[str, Callable[[], object]], xp, size: Size) -> dict[str, Time]:
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
    return {name: Time(*(median(column) for column in zip(*found, strict=True))) for name, found in times.items()}


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


def share(amount: float, seconds: float, peak: float | None) -> float | None:
    """How much of the peak was used."""
    return None if peak is None else amount / seconds / peak


# ---- what a step needs, and PyTorch ---------------------------------------------------------------------------------


def needed(net: str, order: str, batch: int) -> tuple[float, float]:
    """(bytes, operations) of a stage-1 step at the least; see above."""
    network = drawn(SHAPES[net], order, 1)[0]
    (h, w, c), moved, operations = SHAPES[net], 0, 0
    for i, (d, pool) in enumerate(zip(network.arch.channels, network.arch.pools, strict=True)):
        product = 2 * 9 * c * d * h * w
        operations += product * (2 if i == 0 else 3)  # nobody needs the gradient of an image
        moved += 3 * (h * w * c + h * w * d + h // pool * (w // pool) * d)
        h, w, c = h // pool, w // pool, d
    operations += 3 * 2 * h * w * c * FEATURES
    return 4.0 * batch * moved, float(batch * operations)


def needed_latent(batch: int) -> tuple[float, float]:
    """The same of stage 2: 3 × 2 operations a weight and row, and Adam's seven passes over the parameters."""
    _, params, _, _ = drawn_latent(1)
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


def place_of(torch) -> str:
    """Where PyTorch computes; nowhere where it is not."""
    return "cuda" if torch and torch.cuda.is_available() else "cpu"


# ---- the parts of the table -----------------------------------------------------------------------------------------


def cases(size: Size, xp, torch) -> Iterator[tuple[str, int, tuple[float, float], Callable, dict[str, Callable]]]:
    """(name, batch, what it needs, our step's maker, PyTorch's by layout) of every step; makers take the batch."""
    for batch in size.batches:
        for net, order in size.steps:
            ours = partial(conv_step, SHAPES[net], order, xp=xp)
            others = {
                layout: partial(torch_conv_step, SHAPES[net], order, layout=layout, device=place_of(torch))
                for layout in LAYOUTS
            }
            yield f"cuda/conv/{net}/{order}/{batch}", batch, needed(net, order, batch), ours, others
        others = {"": partial(torch_latent_step, device=place_of(torch))}
        yield f"cuda/latent/{batch}", batch, needed_latent(batch), partial(latent_step, xp=xp), others


def entries(xp=None, size: Size = SIZE) -> Iterator[Entry]:
    """`cuda/conv/pan/paper/64` … `cuda/latent/512`, each against the better of PyTorch's layouts.

    Raises `GPUUnavailable` where there is none, `ValueError` where gradients differ from PyTorch's.
    """
    xp, torch = xp or library("cuda"), torch_or_none()
    most = peaks(xp)
    for name, batch, least, make_ours, make_others in cases(size, xp, torch):
        makers = {"ours": make_ours, **(make_others if torch else {})}
        try:
            check(name, makers, min(CHECKED, batch))
            release(xp, torch)
            times, memory = measured(makers, batch, xp, torch, size)
        except Exception as error:
            if "OutOfMemory" not in type(error).__name__:
                raise
            yield Entry(name, *[None] * 9)._replace(other=f"out of memory ({error})")
            continue
        ours, best = times.pop("ours"), min(times, key=lambda key: times[key].whole, default=None)
        shares = [share(amount, ours.whole, peak) for amount, peak in zip(least, most, strict=True)]
        entry = Entry(name, 1e3 * ours.whole, None, None, None, memory["ours"], None, 1e3 * ours.host, *shares)
        if best is not None:
            other = times[best].whole
            entry = entry._replace(
                other=f"torch {torch.__version__} {best}".strip(),
                other_ms=1e3 * other,
                ratio=ours.whole / other,
                other_peak_mb=memory[best],
            )
        yield entry


def check(name: str, makers: dict[str, Callable[[int], Step]], batch: int) -> None:
    """Raises `ValueError` where a side's gradients of a small batch differ from ours, all in float64.

    PyTorch's are always; in float32 rounding decides some winner of a pool, and one of them moves a gradient by 4e-3.
    """
    exact = makers | {"ours": partial(makers["ours"], dtype="float64")}
    results = {key: {k: to_host(v) for k, v in make(batch).gradients(batch).items()} for key, make in exact.items()}
    for key in makers:
        compare(results["ours"], results[key], f"{name}: ours and {key}", SAME["float64"])


def measured(makers: dict[str, Callable[[int], Step]], batch: int, xp, torch, size: Size):
    """(times, MiB of device memory) of all sides of one case."""
    steps, memory = {}, {}
    for key, make in makers.items():
        before = reserved_mb(xp, torch)
        step = make(batch)
        step.step()
        wait(xp)
        steps[key], memory[key] = step.step, reserved_mb(xp, torch) - before
    times = timed(steps, xp, size)
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


def what_is_there(xp) -> Iterator[Row]:
    """GPU, versions, peaks."""
    part = "what is there"
    if xp.__name__ == "cupy":
        yield from (Row(part, name, value) for name, value in describe(xp).items())
    torch = torch_or_none()
    versions = {"numpy": np.__version__, xp.__name__: getattr(xp, "__version__", "")}
    versions["torch"] = torch.__version__ if torch else "not here, or sees no GPU: nothing to compare with"
    yield from (Row(part, name, version) for name, version in versions.items())
    bandwidth, arithmetic = peaks(xp)
    yield Row(part, "peak bandwidth", "unknown" if bandwidth is None else bandwidth / 1e9, "GB/s", "by its clocks")
    yield Row(part, "peak float32", "unknown" if arithmetic is None else arithmetic / 1e12, "TFLOP/s", "by its clocks")


def same_numbers(xp, size: Size) -> Iterator[Row]:
    """Worst relative difference from NumPy; a value above `SAME` is noted."""

    def row(name, dtype, found, wanted):
        found, wanted = ({key: to_host(value) for key, value in side.items()} for side in (found, wanted))
        worst = difference(found, wanted)
        return Row("same numbers", f"{name}, {dtype}", worst, "", "" if worst <= SAME[dtype] else DIFFERENT)

    for dtype in SAME:
        for net, order in size.steps:
            there, here = (conv_step(SHAPES[net], order, CHECKED, library, dtype).gradients() for library in (xp, np))
            yield row(f"stage 1 {net}/{order}", dtype, there, here)
        there, here = (latent_step(64, library, dtype).gradients() for library in (xp, np))
        yield row("stage 2", dtype, there, here)
        random = np.random.default_rng(0)
        arrays = {name: random.random(1000).astype(dtype) for name in ("theta", "g", "m", "v", "decay")}
        settings = {"lr": 1e-2, "rate": 1e-2, "epsilon": 1e-8, "share_m": 0.1, "share_v": 1e-3}
        there, here = ({name: to_device(a.copy(), to) for name, a in arrays.items()} for to in (xp, np))
        (adam_step_kernel if xp.__name__ == "cupy" else adam_step)(**there, **settings)
        adam_step(**here, **settings)
        yield row("Adam's kernel and its twin", dtype, there, here)
        v, y = [random.random((200, 16)).astype(dtype) for _ in "ab"], [random.integers(0, 8, 200) for _ in "ab"]
        there, here = (
            evaluate_direction(*(to_device(part, to) for part in (v[0], y[0], v[1], y[1]))) for to in (xp, np)
        )
        figures = [key for key, value in here.items() if isinstance(value, float)]
        yield row("ranking", dtype, *({key: np.array(found[key]) for key in figures} for found in (there, here)))


def difference(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> float:
    """The worst max|a − b| / max|b|; of arrays that are zero but for rounding, beside a thousandth of the largest."""
    largest = {key: np.abs(value).max(initial=0) for key, value in wanted.items()}
    floor = 1e-3 * max(largest.values())
    return max(float(np.abs(found[key] - wanted[key]).max(initial=0) / max(largest[key], floor)) for key in wanted)


def cost_of_a_call(xp, size: Size) -> Iterator[Row]:
    """Microseconds of one small operation: what the host needs to ask for it bounds a step of many."""
    x = xp.ones((64, 128), dtype="float32")
    w, index = xp.ones((128, 128), dtype="float32"), np.arange(64)
    theta = [xp.ones(1000, dtype="float32") for _ in range(4)]
    settings = {"decay": 0.0, "lr": 1e-3, "rate": 1e-3, "epsilon": 1e-8, "share_m": 0.1, "share_v": 1e-3}
    step = adam_step_kernel if xp.__name__ == "cupy" else adam_step
    calls = {
        "x + x": lambda: x + x,
        "x @ w": lambda: x @ w,
        "x.sum(axis=0)": lambda: x.sum(axis=0),
        "x.sum()": lambda: x.sum(),
        "x[device index]": partial(x.__getitem__, to_device(index, xp)),
        "64 indices sent": lambda: to_device(index, xp),
        "a kernel (Adam)": lambda: step(*theta, **settings),
    }
    for name, found in timed(calls, xp, size._replace(seconds=min(size.seconds, 0.05))).items():
        yield Row("cost of a call", name, 1e6 * found.whole, "µs", f"host {1e6 * found.host:.1f} µs")


def memory_and_products(xp, size: Size) -> Iterator[Row]:
    """Long sums in two stages and in one, copies, a large product, with shares of the peaks."""
    part, (bandwidth, arithmetic) = "memory and products", peaks(xp)
    side = max(1, math.isqrt(size.numbers // 2**11))
    x = xp.ones((64, side, side, 32), dtype="float32")
    image = xp.ones((max(1, size.numbers // 2**20), 64, 64, 32), dtype="float32")
    a = xp.ones((size.side, size.side), dtype="float32")
    calls = {
        "column_sum (N, H, W, 32)": (lambda: column_sum(x), x.nbytes, "GB/s"),
        "x.sum(axis=(0, 1, 2))": (lambda: x.sum(axis=(0, 1, 2)), x.nbytes, "GB/s"),
        "copy": (lambda: x.copy(), 2 * x.nbytes, "GB/s"),
        "im2col 3 × 3": (lambda: im2col(image, 3), 10 * image.nbytes, "GB/s"),
        "product": (lambda: a @ a, 2 * size.side**3, "TFLOP/s"),
    }
    found = timed({name: call for name, (call, _, _) in calls.items()}, xp, size)
    for name, (_, amount, unit) in calls.items():
        rate, peak = amount / found[name].whole, bandwidth if unit == "GB/s" else arithmetic
        note = "" if peak is None else f"{rate / peak:.0%} of peak"
        yield Row(part, name, rate / (1e9 if unit == "GB/s" else 1e12), unit, note)
    ratio = found["x.sum(axis=(0, 1, 2))"].whole / found["column_sum (N, H, W, 32)"].whole
    yield Row(part, "two stages beside one", ratio, "times")


def steps(xp, size: Size) -> Iterator[Row]:
    """The entries as lines."""
    for entry in entries(xp, size):
        name = entry.name.removeprefix("cuda/")
        if entry.ours_ms is None:
            yield Row("steps", name, "–", "", entry.other)
            continue
        notes = [f"host {entry.host_ms:.2f} ms", f"{entry.peak_mb:.0f} MiB"]
        notes += [f"{s:.1%} of {w}" for s, w in ((entry.bandwidth, "bandwidth"), (entry.arithmetic, "arithmetic")) if s]
        if entry.other:
            of = f"{entry.other_ms:.2f} ms of {entry.other} ({entry.other_peak_mb:.0f} MiB)"
            notes.append(f"{entry.ratio:.2f} × the {of}")
        yield Row("steps", name, entry.ours_ms, "ms", ", ".join(notes))


class Cycled:
    """Samples over and over: N of them out of a few, read by index arrays as a data set is."""

    def __init__(self, x: np.ndarray, count: int):
        self.x, self.shape, self.dtype = x, (count, *x.shape[1:]), x.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        return self.x[index % len(self.x)]


def an_epoch(xp, size: Size) -> Iterator[Row]:
    """One epoch of each stage on as many pairs as DSRSID has, validation included; 5/80 of them validate."""
    part = "an epoch"
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
        yield Row(part, f"{m.name}: placed", time.perf_counter() - start, "s", f"{gib:.2f} GiB, once")
        streamed = placed._replace(x=OnDevice(whole, xp, share=0))
        for how, source in (("on the device", placed), ("batch by batch", streamed)):
            name = f"gpu.{m.name}"
            task = stage1_task(config, name, source, train, validation, xp)
            epoch = first_epoch(task, init_pretrainer(config, name, m.x.shape[1:], len(data.label_names)), xp)
            note = f"{task.steps_per_epoch} steps of {config.stage1.batch_size}, loss {epoch.parts['loss']:.3g}"
            yield Row(part, f"{m.name}: stage 1, {how}", epoch.seconds, "s", note)
        features[letter] = np.random.default_rng(0).random((size.pairs, config.d_z), dtype=np.float32)
        del placed, streamed, source, task
        release(xp, torch_or_none())
    labels = {letter: m.labels[rows % len(m.x)] for letter, m in data.modalities.items()}
    sources = {letter: Source(z, labels[letter], "features", lambda z: z) for letter, z in features.items()}
    shapes = dict.fromkeys(labels, (config.d_z,))
    network = latent_settings(config, shapes, labels)
    pairs = np.stack([train, train], axis=1)
    task = stage2_task(config, network, sources, lambda epoch: pairs, len(pairs), dict.fromkeys(labels, validation), xp)
    epoch = first_epoch(task, init_stage2(config, network, shapes, len(data.label_names)), xp)
    note = f"{task.steps_per_epoch} steps of {config.stage2.batch_size}, loss {epoch.parts['loss']:.3g}"
    yield Row(part, "stage 2", epoch.seconds, "s", note)


def first_epoch(task, init, xp):
    """What the loop reports of the first epoch."""
    state, found = new_state(*({k: to_device(v, xp) for k, v in part.items()} for part in init)), []
    train_epochs(task, state, on_epoch=lambda state, epoch: found.append(epoch))
    return found[0]


def compiled_kernels(xp, size: Size) -> Iterator[Row]:
    """Where CuPy keeps what it compiled: about 0.3 s a kernel that the next machine need not spend."""
    folder = Path(os.environ.get("CUPY_CACHE_DIR", Path.home() / ".cupy" / "kernel_cache"))
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []
    mb = sum(path.stat().st_size for path in files) / 2**20
    yield Row("compiled kernels", "files", len(files), "", f"{mb:.1f} MiB in {folder}; CUPY_CACHE_DIR names it")


PARTS = {
    "what is there": lambda xp, size: what_is_there(xp),
    "same numbers": same_numbers,
    "cost of a call": cost_of_a_call,
    "memory and products": memory_and_products,
    "steps": steps,
    "an epoch": an_epoch,
    "compiled kernels": compiled_kernels,
}


def report(xp, size: Size = SIZE, parts: tuple[str, ...] = tuple(PARTS)) -> Iterator[Row]:
    """All lines, as they are found; the seconds of each part are its last."""
    for part in parts:
        start = time.perf_counter()
        yield from PARTS[part](xp, size)
        yield Row(part, "seconds in all", time.perf_counter() - start, "s")


def line(row: Row) -> str:
    """A row as text."""
    value = f"{row.value:.4g}" if isinstance(row.value, float) else str(row.value)
    return f"{row.part:<20}  {row.name:<36}  {value:>10} {row.unit:<8} {row.note}".rstrip()


def main(words: list[str] | None = None) -> int:
    """0: measured; 1: numbers differ from NumPy's or PyTorch's; 2: no GPU."""
    parser = argparse.ArgumentParser("python -m cmir_ref.bench.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="an array of rows on standard output, at the end")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part (may be given again)")
    parser.add_argument("--pairs", type=int, default=SIZE.pairs, help="of an epoch (default: DSRSID's %(default)s)")
    chosen = parser.parse_args(words)
    os.environ["CUPY_TF32"] = "0"  # read at CuPy's first product
    try:
        xp = library("cuda")
    except GPUUnavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rows = []
    try:
        for row in report(xp, SIZE._replace(pairs=chosen.pairs), tuple(chosen.part or PARTS)):
            rows.append(row)
            print(line(row), file=sys.stderr if chosen.json else sys.stdout, flush=True)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if chosen.json:
        print(json.dumps([row._asdict() for row in rows], indent=2))
    return int(any(row.note == DIFFERENT for row in rows))


if __name__ == "__main__":
    sys.exit(main())
