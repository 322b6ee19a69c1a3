"""Damaged files for about a minute; `python tests/fuzz.py --minutes 60` goes on for as long as is asked."""

import fuzz
import numpy as np

INPUTS = 4000  # a fixed number with a fixed seed, so that no clock decides


def test_damaged_files_are_read_or_refused_in_one_line(tmp_path):
    outcomes = fuzz.fuzz(range(INPUTS), seed=1, keep=tmp_path / "faults")
    assert len(outcomes) == INPUTS
    assert [o for o in outcomes if o.verdict not in ("read", "refused")] == []
    verdicts = {(o.name.partition("-")[0], o.verdict) for o in outcomes}
    assert {kind for kind, _ in verdicts} == {
        "image", "sound", "mat", "dsrsid", "checkpoint", "embeddings", "settings", "history"
    }  # fmt: skip
    assert ("image", "read") in verdicts and ("image", "refused") in verdicts


def test_a_fault_is_noticed(tmp_path, monkeypatch):
    """A reader that leaks an exception, one that hangs and one that ends its process."""
    source = fuzz.Path(fuzz.__file__).read_text(encoding="utf-8")
    for wrong, seconds, says in (
        ("raise KeyError('x')", 60, "KeyError"),
        ("import os; os.abort()", 60, "crash"),
        ("import time; time.sleep(60)", 1, "more than"),
        ("x = bytearray(b'1') * 1_100_000_000", 60, "MB"),
    ):
        changed = source.replace("        log_mel_patch(path)\n", f"        {wrong}\n")
        assert changed != source
        (tmp_path / "fuzz.py").write_text(changed, encoding="utf-8")
        monkeypatch.setattr(fuzz, "__file__", str(tmp_path / "fuzz.py"))
        monkeypatch.setattr(fuzz, "SECONDS", seconds)
        reader = fuzz.Reader([])
        assert says in reader.verdict("sound", tmp_path / "a.wav")
        reader.end()


def test_an_input_is_a_function_of_its_number():
    content = bytes(range(256)) * 4
    one, again, other = (fuzz.damaged(content, np.random.default_rng([0, k])) for k in (5, 5, 6))
    assert one == again and one != content and one != other
