"""The GPU's benchmark, small, where there is none: on NumPy and on the stand-in every part of it runs."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import worlds
from strict.standin import xp as strict

from cmir_ref import cli
from cmir_ref.backend import GPUUnavailable, library
from cmir_ref.bench import BENCH_KINDS, gpu, suite
from cmir_ref.bench.gpu import Peaks, Size
from cmir_ref.bench.peers import ResultsDiffer

SMALL = Size((("mul", "paper"), ("mul", "released-frozen")), (3,), 2**16, 32, pairs=48, scenes=8, turns=2, seconds=0)


@pytest.fixture(autouse=True)
def no_torch(monkeypatch):
    monkeypatch.setattr(gpu, "torch_or_none", lambda: None)


@pytest.fixture(autouse=True)
def few_checked(monkeypatch):
    monkeypatch.setattr(gpu, "CHECKED", 2)


def test_its_kinds_are_those_of_the_command():
    assert tuple(gpu.GPU_KINDS) == BENCH_KINDS["cuda"]


@pytest.mark.parametrize("xp", [np, strict], ids=["numpy", "strict"])
@pytest.mark.parametrize("kind", [kind for kind in gpu.GPU_KINDS if kind != "epoch"])
def test_every_kind_gives_entries(monkeypatch, xp, kind):
    monkeypatch.setattr(gpu, "peaks", lambda xp: Peaks(4.8e12, 67e12))
    entries = list(gpu.gpu_entries([kind], SMALL, xp))
    assert len(entries) > 0 and len({entry.name for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.name.startswith(f"cuda/{kind}/") and entry.same is not False
        assert (entry.ours_ms is None) == (kind == "numbers") == (entry.error is not None)
        assert entry.name in suite.entry_cells(entry)
    assert json.dumps(suite.bench_json(entries))


def test_an_epoch_of_generated_pairs(monkeypatch):
    small = worlds.pictures(8)
    image = small.modalities["a"]
    data = small._replace(modalities={"a": image._replace(name="PAN"), "b": image._replace(name="MUL")})
    monkeypatch.setattr(gpu, "load", lambda *args, **settings: data)
    names = [entry.name for entry in gpu.gpu_entries(["epoch"], SMALL._replace(pairs=16), strict)]
    ways = ("placed", "stage 1 on the device", "stage 1 batch by batch")
    assert names == [f"cuda/epoch/{m}/{way}" for m in ("PAN", "MUL") for way in ways] + ["cuda/epoch/stage 2"]


def test_steps_against_pytorch(monkeypatch, request):
    """Both give the same gradients, or an error says where they differ; here PyTorch computes on the CPU."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(gpu, "torch_or_none", lambda: torch)
    dtype = torch.get_default_dtype()  # float64 where the oracles were imported before
    torch.set_default_dtype(torch.float32)
    request.addfinalizer(lambda: torch.set_default_dtype(dtype))
    entries = list(gpu.gpu_entries(["conv", "latent"], SMALL, np))
    assert [entry.name for entry in entries] == [
        "cuda/conv/mul/paper/3",
        "cuda/conv/mul/released-frozen/3",
        "cuda/latent/3",
    ]
    for entry in entries:
        assert entry.other.startswith("torch ") and entry.ratio == entry.ours_ms / entry.other_ms > 0
    right = gpu.conv_step

    def wrong(*args, **settings):
        step = right(*args, **settings)
        return step._replace(gradients=lambda n: step.gradients(n) | {"loss": 1.01 * step.gradients(n)["loss"]})

    monkeypatch.setattr(gpu, "conv_step", wrong)
    with pytest.raises(ResultsDiffer, match=r"cuda/conv/mul/paper/3: ours and .* differ in loss by 1\.0e-02"):
        list(gpu.gpu_entries(["conv"], SMALL, np))


def test_no_room_is_said_and_nothing_claimed(monkeypatch):
    class OutOfMemoryError(Exception):
        pass

    def full(*args, **settings):
        raise OutOfMemoryError("allocating 9 bytes")

    monkeypatch.setattr(gpu, "conv_step", full)
    first, _, latent = gpu.gpu_entries(["conv", "latent"], SMALL, np)
    assert first.ours_ms is None and first.note == "out of memory (allocating 9 bytes)" and latent.ours_ms > 0
    assert suite.entry_cells(first) == ("cuda/conv/mul/paper/3", *[""] * 7, "out of memory (allocating 9 bytes)")


def test_the_memory_of_a_side_is_not_what_another_left_in_reserve(monkeypatch):
    used, reserved = [], [0.0]  # a caching allocator: a block that is free stays reserved until it is given back

    def make(mb):
        def step():
            reserved[0] = max(reserved[0], sum(used) + mb)

        return lambda batch: (used.append(1), SimpleNamespace(step=step))[1]

    monkeypatch.setattr(gpu, "reserved_mb", lambda xp, torch: reserved[0])
    monkeypatch.setattr(gpu, "release", lambda xp, torch: reserved.__setitem__(0, float(sum(used))))
    sides = {"ours": make(30), "first": make(20), "second": make(20)}
    _, memory = gpu.time_and_memory(sides, 8, np, None, Size((), (), 1, 1, turns=1, seconds=0))
    assert memory == {"ours": 31, "first": 21, "second": 21}


def test_what_a_step_needs_at_the_least():
    """MUL at batch 64: thrice the forward products but for the gradient of the images."""
    moved, operations = gpu.least_work("mul", "paper", 64)
    h = [64 * 64, 32 * 32, 16 * 16]
    forward = 2 * 9 * (h[0] * 4 * 32 + h[1] * 32 * 64 + h[2] * 64 * 128) + 2 * 2048 * 128
    assert operations == 64 * (3 * forward - 2 * 9 * h[0] * 4 * 32)
    floats = (4 + 32) * h[0] + 32 * h[1] + (32 + 64) * h[1] + 64 * h[2] + (64 + 128) * h[2] + 128 * 16
    assert moved == 4 * 64 * 3 * floats
    assert gpu.least_work_latent(64)[1] == 2 * gpu.least_work_latent(32)[1] > 0


@pytest.fixture
def call(monkeypatch, capsys):
    """`call("calls", "--json")`: status, output and errors of `cmir-ref bench --device cuda` where NumPy is the GPU."""
    monkeypatch.setattr(gpu, "library", lambda device: np)
    monkeypatch.setattr(gpu, "FULL_SIZE", SMALL)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["cmir-ref", "bench", "--device", "cuda", "--repeats", "1", *words])
        capsys.readouterr()
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, *capsys.readouterr()

    return run


def test_the_command_gives_a_table_and_says_what_the_figures_depend_on(call):
    status, out, err = call("latent", "memory")
    names = [line.split("  ")[0] for line in out.splitlines()]
    assert status == 0 and names[1:3] == ["cuda/latent/3", "cuda/memory/column_sum"]
    assert f"numpy: {np.__version__}" in names and any(name.startswith("compiled kernels: ") for name in names)
    assert [line.split("  ")[0] for line in err.splitlines()] == names[1:7], "each as soon as it is measured"
    ratio = next(line for line in out.splitlines() if "column_sum" in line).split("  ")
    assert "x.sum(axis=(0, 1, 2))" in [cell.strip() for cell in ratio]


def test_json_is_an_array_of_entries(call):
    status, out, _ = call("latent", "numbers", "--json")
    entries = json.loads(out)
    keys = ["name", "ours_ms", "other", "other_ms", "ratio", "peak_mb", "other_peak_mb"]
    assert status == 0 and [list(entry)[:7] for entry in entries] == [keys] * len(entries)
    assert entries[0]["note"].startswith("host ") and "error" not in entries[0]
    assert entries[1]["name"] == "cuda/numbers/conv/mul/paper/float64" and entries[1]["same"] is True


def test_numbers_that_differ_are_status_1(call, monkeypatch):
    right = gpu.adam_step
    monkeypatch.setattr(
        gpu,
        "adam_step",
        lambda theta, **rest: right(theta, **rest) or np.add(theta, 0.1 * rng.random(len(theta)), theta),
    )
    rng = np.random.default_rng(0)
    status, out, _ = call("numbers")
    lines = [line for line in out.splitlines() if "TOO MUCH" in line]
    assert status == 1 and [line.split()[0] for line in lines] == [f"cuda/numbers/adam/float{n}" for n in (64, 32)]
    assert call("numbers", "--json")[0] == 1


def test_gradients_that_differ_are_status_1(call, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(gpu, "torch_or_none", lambda: torch)
    right = gpu.torch_latent_step

    def wrong(*args, **settings):
        step = right(*args, **settings)
        return step._replace(gradients=lambda n: step.gradients(n) | {"loss": 2 * step.gradients(n)["loss"]})

    monkeypatch.setattr(gpu, "torch_latent_step", wrong)
    status, out, err = call("latent", "--against", "torch")
    assert (status, out) == (1, "") and err.startswith("error: cuda/latent/3: ours and")


@pytest.mark.parametrize("command", [("cmir_ref", "bench", "--device", "cuda"), ("cmir_ref.bench.gpu",)])
def test_no_gpu_is_one_line_and_status_2(command):
    try:
        library("cuda")
    except GPUUnavailable as error:
        done = subprocess.run([sys.executable, "-m", *command, "calls", "--json"], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {error}\n")
    else:
        pytest.skip("there is a GPU")


def test_products_are_not_rounded_to_tf32(monkeypatch):
    monkeypatch.delenv("CUPY_TF32", raising=False)
    seen = []
    monkeypatch.setattr(gpu, "library", lambda device: seen.append((device, os.environ["CUPY_TF32"])) or np)
    assert gpu.gpu_library() is np and seen == [("cuda", "0")], "CuPy reads it at its first product"


def test_peaks_by_clocks(monkeypatch):
    """An H200: 6144 bits at 3201 MHz, 132 multiprocessors of 128 lanes at 1980 MHz."""

    class Device:
        compute_capability = "90"
        attributes = {  # noqa: RUF012 - never changed
            "MemoryClockRate": 3_201_000,
            "GlobalMemoryBusWidth": 6144,
            "ClockRate": 1_980_000,
            "MultiProcessorCount": 132,
        }

    cupy = type(sys)("cupy")
    cupy.cuda = type(sys)("cuda")
    cupy.cuda.Device = Device
    bandwidth, arithmetic = gpu.peaks(cupy)
    assert bandwidth == pytest.approx(4.917e12, rel=1e-3) and arithmetic == pytest.approx(66.9e12, rel=1e-3)
    Device.attributes = {"MultiProcessorCount": 132}
    assert gpu.peaks(cupy) == Peaks(None, None)
    assert gpu.share_of_peak(1.0, 1.0, None) is None
