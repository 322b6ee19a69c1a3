"""The table of named words: its command, and that it is the split of a whole run."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cmir_ref.config import load_config
from cmir_ref.data import load_speech, samples_dir, split_data
from cmir_ref.data.ucmerced import LABEL_NAMES

SCRIPT = Path(__file__).parents[2] / "lessons" / "results" / "voices.py"
HARD = SCRIPT.with_name("hard_voices.py")
SHORT = ["--seeds", "2", "--set", "stage1.epochs=1", "--set", "d_z=8", "--set", "stage1.batch_size=16"]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("voices_table", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True)


def test_a_table_of_shares(tmp_path):
    for k, label in enumerate(("ship", "sea")):
        (tmp_path / label).mkdir()
        soundfile.write(tmp_path / label / "mine.wav", np.sin(np.arange(8000) / (4 + k)) / 2, 16000)
    done = run(tmp_path, *SHORT)
    assert done.returncode == 0, done.stderr
    head, _, *rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in done.stdout.splitlines()]
    assert head[0] == "part" and [row[0] for row in rows] == ["validation", "test", "clips"]
    for row in rows:
        share, by_seed = row[1].split(" ± "), [float(value) for value in row[3].split(",")]
        assert len(by_seed) == 2 and abs(np.mean(by_seed) - float(share[0])) < 1e-3
        assert abs(np.std(by_seed, ddof=1) - float(share[1])) < 2e-3 and 0 <= float(row[2].split(" ± ")[0]) <= 1
    assert set(rows[2][3].split(", ")) <= {"0.000", "0.500", "1.000"}, "two clips"


@pytest.mark.parametrize("there", [False, True])
def test_bad_folders_are_one_line(tmp_path, there):
    if there:
        (tmp_path / "clips" / "zebra").mkdir(parents=True)
    done = run(tmp_path / "clips", *SHORT)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1 and "clips" in done.stderr


def test_the_split_is_that_of_a_whole_run(script):
    """No voice that a whole run keeps for its test part is trained on here."""
    speech = load_speech(samples_dir() / "speech", LABEL_NAMES)
    data = script.without_images(speech)
    config = load_config("image-speech", ["speech=bundled", "dataset=features"])
    parts = split_data(config, data)
    voices = [set(speech.groups[rows["b"]]) for rows in parts]
    assert [len(v) for v in voices] == [9, 1, 5] and not voices[0] & (voices[1] | voices[2])
    images = data.modalities["a"]
    more = images._replace(x=images.x.repeat(2, axis=0), labels=images.labels.repeat(2), ids=images.ids * 2)
    more = data._replace(modalities=data.modalities | {"a": more._replace(groups=images.groups.repeat(2))})
    for one, other in zip(parts, split_data(config, more), strict=True):
        np.testing.assert_array_equal(one["b"], other["b"])
    clips = script.with_clips(data, parts, speech._replace(x=speech.x[:3], labels=speech.labels[:3]))
    assert len(clips.modalities["b"].x) == 258


@pytest.fixture(scope="module")
def hard():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HARD.parent))
        spec = importlib.util.spec_from_file_location("hard_voices", HARD)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def test_the_harder_validation_keeps_voices_apart_and_tries_every_pair(hard):
    speech = load_speech(samples_dir() / "speech", LABEL_NAMES)
    for trains, validates in hard.FOLDS:
        others = {voice for voice in speech.groups if validates(voice)}
        assert set(trains) < set(speech.groups) and len(trains) == 4
        assert len(others) >= 7 and not others & set(trains)
        turns = [hard.turn_of(speech, k) for k, voice in enumerate(speech.groups) if voice in others]
        assert np.bincount(turns, minlength=9).min() >= len(turns) / 9 - 4


@pytest.mark.parametrize("name", ["whisper", "speed_up", "slow_down", "in_room", "by_telephone", "before_noise"])
def test_a_changed_recording_is_another_of_the_length_that_it_should_have(hard, name):
    time = np.arange(8000) / 16000
    sound = np.sin(2 * np.pi * 500 * time) * np.hanning(8000)
    out = getattr(hard, name)(sound, np.random.default_rng(0))
    again = getattr(hard, name)(sound, np.random.default_rng(0))
    np.testing.assert_array_equal(out, again)
    length = {"speed_up": 8000 / 1.18, "slow_down": 8000 * 1.18, "in_room": 8000 + 7200}.get(name, 8000)
    assert np.isfinite(out).all() and abs(len(out) - length) < (2500 if name == "in_room" else 120)
    spectrum = abs(np.fft.rfft(out)) ** 2
    loudest = np.fft.rfftfreq(len(out), 1 / 16000)[spectrum[20:].argmax() + 20]
    pitch = {"speed_up": 590, "slow_down": 424}.get(name, 500)
    assert abs(loudest - pitch) < (60 if name == "whisper" else 5)
