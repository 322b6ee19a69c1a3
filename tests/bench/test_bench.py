"""The benchmarks at tiny sizes, and the command around them."""

import importlib.util
import json
import sys

import pytest

from cmir_ref import bench, cli
from cmir_ref.bench import attention, conv, data, latent, retrieval, suite, texts, whole
from cmir_ref.bench.peers import Case, interleave
from cmir_ref.errors import InputError

KEYS = ["name", "ours_ms", "other", "other_ms", "ratio", "peak_mb", "other_peak_mb"]
NAMES = [
    "conv/pan/paper",
    "conv/pan/released-frozen",
    "conv/pan/released-train",
    "conv/mul/paper",
    "conv/mul/released-frozen",
    "latent/64",
    "attention/step/channel",
    "attention/step/spatial",
    "attention/pairs",
    "retrieval/top10",
    "retrieval/ap",
    "gru",
    "amfmn/scores",
    "amfmn/step",
    "whole/pan-mul",
    "whole/image-speech",
]
PEERS = bench.PEERS["cpu"]
TINY = {
    case.name: case
    for cases in (
        latent.cases(),
        attention.cases(20, 60),
        retrieval.cases(100, 2000),
        data.cases(80),
        texts.cases(20, 60, 10),
        whole.cases(0.25),
    )
    for case in cases
}


@pytest.fixture
def installed(monkeypatch):
    """`installed("torch", …)`: these peers are there, and no other."""
    real = importlib.util.find_spec

    def only(*peers):
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda n: (True if n in peers else None) if n in PEERS else real(n),
        )

    return only


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["cmir-ref", "bench", *words])
    try:
        cli.main()
    except SystemExit as end:
        return end.code or 0
    return 0


def test_names(installed):
    installed(*PEERS)
    every = suite.select_kinds([], "cpu", None)
    assert [case.name for case in suite.select_cases(every) if not case.name.startswith("data/")] == NAMES
    assert [case.name for case in suite.select_cases(["latent", "retrieval"])] == [NAMES[5], *NAMES[9:11]]
    assert [case.name for case in suite.select_cases(every, "faiss")] == ["retrieval/top10"]


@pytest.mark.parametrize(
    ("device", "kinds", "against", "says"),
    [
        ("cpu", ["epoch"], None, "epoch: not on cpu; there it is one of conv, latent"),
        ("cpu", ["data"], "faiss", "nothing in it is measured against faiss"),
        ("cpu", ["retrieval"], None, r"faiss not installed; pip install 'cmir-ref\[bench\]'"),
        ("cuda", ["data"], None, "data: not on cuda; there it is one of numbers, calls"),
        ("cuda", [], "faiss", "--against faiss: not on cuda; there it is one of torch"),
        ("cuda", ["calls"], "torch", "nothing in it is measured against torch"),
    ],
)
def test_what_is_refused(installed, device, kinds, against, says):
    installed("torch", "sklearn")
    with pytest.raises(InputError, match=says):
        next(suite.run_bench(kinds, device=device, against=against))


def test_a_missing_peer_is_one_line_and_status_2(installed, monkeypatch, capsys):
    installed()
    assert call(monkeypatch, "conv", "--against", "torch") == 2
    assert capsys.readouterr().err == "error: bench: torch not installed; pip install 'cmir-ref[bench]'\n"


@pytest.mark.parametrize("name", ["data/image", "data/stream/mul", "data/step/mul", "attention/pairs"])
def test_data(name):
    entry = interleave(TINY[name], repeats=1)
    assert entry.ours_ms > 0 and entry.peak_mb > 10


@pytest.mark.parametrize("name", [name for name, case in TINY.items() if case.peer in PEERS])
def test_peers_give_the_same_results(name):
    pytest.importorskip(TINY[name].peer)
    assert interleave(TINY[name], repeats=1).ratio > 0


def test_json_and_table(monkeypatch, capsys):
    monkeypatch.setattr(suite, "select_cases", lambda kinds, against: [TINY["data/stream/mul"], TINY["data/image"]])
    assert call(monkeypatch, "--json", "--repeats", "1") == 0
    entries = json.loads(capsys.readouterr().out)
    assert [list(entry) for entry in entries] == [KEYS, KEYS]
    assert entries[0]["other"] is None and entries[1]["other"].startswith("PIL ")
    assert entries[1]["ratio"] == pytest.approx(entries[1]["ours_ms"] / entries[1]["other_ms"])
    assert call(monkeypatch, "--repeats", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["data/stream/mul", "data/image"] and "numpy" in lines[3]


def test_the_share_of_the_arithmetic_peak(monkeypatch, capsys):
    case = Case("toy", ("cmir_ref.bench.latent:latent_side", {}), operations=latent.latent_operations())
    monkeypatch.setattr(suite, "select_cases", lambda kinds, against: [case, TINY["data/stream/mul"]])
    monkeypatch.setattr(suite, "LARGE", 256)
    assert call(monkeypatch, "--json", "--repeats", "1") == 0
    one, other = json.loads(capsys.readouterr().out)
    assert 0 < one["peak_share"] < 1 and "peak_share" not in other
    assert call(monkeypatch, "--repeats", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "of peak" in lines[0] and "%" in lines[1] and "%" not in lines[2]


def test_operations_are_those_of_the_products():
    n, c, d = 2, 128, 128
    assert latent.latent_operations(n) == 2 * n * (
        2 * 2 * c * d + 3 * 2 * (c * d + d * 64) + 3 * 2 * (64 * d + 2 * c * d) + 3 * 2 * 64 * 8
    )
    pixels, layers = (64**2, 32**2, 16**2), ((4, 32), (32, 64), (64, 128))
    wanted = sum(9 * 2 * p * c * d * (3 if c > 4 else 2) for p, (c, d) in zip(pixels, layers, strict=True))
    assert conv.conv_operations((64, 64, 4), 3) == 3 * (wanted + 3 * 2 * 16 * 128 * 128)


def test_results_that_differ_are_status_1(monkeypatch, capsys):
    ours, other = (("cmir_ref.bench.data:step_side", {"net": "mul", "tiles": n, "at_hand": True}) for n in (80, 96))
    monkeypatch.setattr(suite, "select_cases", lambda kinds, against: [Case("toy", ours, "numpy", {"": other})])
    assert call(monkeypatch) == 1
    assert "toy: ours and numpy differ in loss" in capsys.readouterr().err


def test_the_conv_cases_name_their_sides():
    assert all(set(case.others) == {"contiguous", "channels_last"} for case in conv.cases())
