"""The GPU's benchmark, small, where there is none: on NumPy and on the stand-in every part of it runs."""

import json
import sys

import numpy as np
import pytest
import worlds
from strict.standin import xp as strict

from cmir_ref.backend import GPUUnavailable, library
from cmir_ref.bench import gpu
from cmir_ref.bench.gpu import Peaks, Row, Size

SMALL = Size((("mul", "paper"), ("mul", "released-frozen")), (3,), 2**16, 32, pairs=48, scenes=8, turns=2, seconds=0)


@pytest.fixture(autouse=True)
def no_torch(monkeypatch):
    monkeypatch.setattr(gpu, "torch_or_none", lambda: None)


@pytest.fixture(autouse=True)
def few_checked(monkeypatch):
    monkeypatch.setattr(gpu, "CHECKED", 2)


@pytest.mark.parametrize("xp", [np, strict], ids=["numpy", "strict"])
@pytest.mark.parametrize("part", [part for part in gpu.PARTS if part != "an epoch"])
def test_every_part_gives_lines(monkeypatch, xp, part):
    monkeypatch.setattr(gpu, "peaks", lambda xp: Peaks(4.8e12, 67e12))
    rows = list(gpu.report(xp, SMALL, (part,)))
    assert len(rows) > 1 and {row.part for row in rows} == {part} and rows[-1].name == "seconds in all"
    assert gpu.DIFFERENT not in {row.note for row in rows}
    for row in rows:
        assert row.name in gpu.line(row) and json.dumps(row._asdict())


def test_an_epoch_of_generated_pairs(monkeypatch):
    small = worlds.pictures(8)
    image = small.modalities["a"]
    data = small._replace(modalities={"a": image._replace(name="PAN"), "b": image._replace(name="MUL")})
    monkeypatch.setattr(gpu, "load", lambda *args, **settings: data)
    names = [row.name for row in gpu.report(strict, SMALL._replace(pairs=16), ("an epoch",))]
    ways = ("placed", "stage 1, on the device", "stage 1, batch by batch")
    assert names == [f"{m}: {way}" for m in ("PAN", "MUL") for way in ways] + ["stage 2", "seconds in all"]


def test_steps_against_pytorch(monkeypatch):
    """Both give the same gradients, or an error says where they differ; here PyTorch computes on the CPU."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(gpu, "torch_or_none", lambda: torch)
    found = list(gpu.entries(np, SMALL))
    assert [entry.name for entry in found] == [
        "cuda/conv/mul/paper/3",
        "cuda/conv/mul/released-frozen/3",
        "cuda/latent/3",
    ]
    for entry in found:
        assert entry.other.startswith("torch ") and entry.ratio == entry.ours_ms / entry.other_ms > 0
    right = gpu.conv_step

    def wrong(*args, **settings):
        step = right(*args, **settings)
        return step._replace(gradients=lambda n: step.gradients(n) | {"loss": 1.01 * step.gradients(n)["loss"]})

    monkeypatch.setattr(gpu, "conv_step", wrong)
    with pytest.raises(ValueError, match=r"cuda/conv/mul/paper/3: ours and .* differ in loss by 1\.0e-02"):
        list(gpu.entries(np, SMALL))


def test_no_room_is_said_and_nothing_claimed(monkeypatch):
    class OutOfMemoryError(Exception):
        pass

    def full(*args, **settings):
        raise OutOfMemoryError("allocating 9 bytes")

    monkeypatch.setattr(gpu, "conv_step", full)
    first, _, latent = gpu.entries(np, SMALL)
    assert first.ours_ms is None and "allocating 9 bytes" in first.other and latent.ours_ms > 0
    assert any("out of memory" in row.note for row in gpu.report(np, SMALL, ("steps",)))


def test_what_a_step_needs_at_the_least():
    """MUL at batch 64: thrice the forward products but for the gradient of the images."""
    moved, operations = gpu.needed("mul", "paper", 64)
    h = [64 * 64, 32 * 32, 16 * 16]
    forward = 2 * 9 * (h[0] * 4 * 32 + h[1] * 32 * 64 + h[2] * 64 * 128) + 2 * 2048 * 128
    assert operations == 64 * (3 * forward - 2 * 9 * h[0] * 4 * 32)
    floats = (4 + 32) * h[0] + 32 * h[1] + (32 + 64) * h[1] + 64 * h[2] + (64 + 128) * h[2] + 128 * 16
    assert moved == 4 * 64 * 3 * floats
    assert gpu.needed_latent(64)[1] == 2 * gpu.needed_latent(32)[1] > 0


def test_numbers_that_differ_are_noted_and_end_in_status_1(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "library", lambda device: np)
    monkeypatch.setattr(gpu, "SIZE", SMALL)
    rows = {"what is there": lambda xp, size: [Row("what is there", "x", 1.0, "", gpu.DIFFERENT)]}
    monkeypatch.setattr(gpu, "PARTS", rows)
    assert gpu.main(["--part", "what is there"]) == 1
    assert "DIFFERENT" in capsys.readouterr().out


def test_the_worst_difference():
    wanted = {"large": np.array([1.0, -4.0]), "small": np.array([2e-3]), "zero": np.array([1e-9])}
    assert gpu.difference(wanted, wanted) == 0
    assert gpu.difference(wanted | {"large": np.array([1.0, -2.0])}, wanted) == 0.5
    assert gpu.difference(wanted | {"zero": np.array([0.0])}, wanted) == pytest.approx(2.5e-7)


def test_json_is_an_array_of_rows(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "library", lambda device: np)
    assert gpu.main(["--part", "what is there", "--json"]) == 0
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert rows[0].keys() == {"part", "name", "value", "unit", "note"} and len(err.splitlines()) == len(rows)


def test_no_gpu_is_one_line_and_status_2(capsys):
    try:
        library("cuda")
    except GPUUnavailable as error:
        assert gpu.main([]) == 2
        assert capsys.readouterr().err == f"error: {error}\n"
    else:
        pytest.skip("there is a GPU")


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
    assert gpu.share(1.0, 1.0, None) is None
