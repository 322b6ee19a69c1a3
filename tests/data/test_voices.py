"""The bundled spoken labels, and how they are made."""

import shutil

import numpy as np
import pytest
import soundfile

from cmir_ref.data import load_speech, samples_dir
from cmir_ref.data.ucmerced import LABEL_NAMES
from cmir_ref.data.voices import VOICES, record, speak, write_voices


@pytest.fixture(scope="module")
def speech():
    return load_speech(samples_dir() / "speech", LABEL_NAMES)  # refuses what is silent


def test_every_label_in_every_voice(speech):
    clips = {(LABEL_NAMES[c], v) for c, v in zip(speech.labels, speech.groups, strict=True)}
    assert clips == {(label, voice.name) for label in LABEL_NAMES for voice in VOICES}
    assert len(clips) == len(speech.x) == 17 * 15


def test_files():
    files = list((samples_dir() / "speech").glob("*/*.flac"))
    assert sum(f.stat().st_size for f in files) <= 6e6
    for file in files:
        info = soundfile.info(file)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        sound, _ = soundfile.read(file)
        assert 0.2 < np.abs(sound).max() < 0.95
        assert np.abs(sound[:300]).max() > 0  # a room is never silent


def test_voices_differ(speech):
    """Two voices speak a label differently, by more than half of what two labels of one voice differ by."""
    x, y, voice = speech.x.reshape(255, -1), speech.labels, np.unique(speech.groups, return_inverse=True)[1]
    x = x[np.lexsort((y, voice))].reshape(15, 17, -1)
    between_labels = np.mean([np.linalg.norm(v[i] - v[j]) for v in x for i in range(17) for j in range(i)])
    for i in range(15):
        for j in range(i):
            assert np.linalg.norm(x[i] - x[j], axis=1).mean() > 0.5 * between_labels, (VOICES[i], VOICES[j])


def test_labels_can_be_told_from_voices_never_heard(speech):
    """Least squares on means over 8 frames, trained on 10 voices, names the labels of the other 5: chance is 0.06."""
    blocks = speech.x.reshape(255, 12, 8, 64).mean(axis=2).reshape(255, -1).astype(np.float64)
    accuracy = []
    for first in range(3):
        held_out = np.isin(speech.groups, [v.name for v in VOICES[first::3]])
        x, y = blocks[~held_out], np.eye(17)[speech.labels[~held_out]]
        mean = x.mean(axis=0)
        gram = (x - mean) @ (x - mean).T
        scores = (blocks[held_out] - mean) @ (x - mean).T @ np.linalg.solve(gram + 30 * np.eye(len(x)), y - 1 / 17)
        accuracy.append((scores.argmax(axis=1) == speech.labels[held_out]).mean())
    assert np.mean(accuracy) > 0.8, accuracy


def test_a_recording():
    sound = np.pad(np.sin(np.arange(8000) / 5), 4000)
    clip, other = (record(sound, np.random.default_rng(seed)) for seed in (0, 1))
    assert 0.25 <= np.abs(clip).max() <= 0.9
    assert 8000 + 2 * 480 <= len(clip) <= 8000 + 2 * 2400
    assert 0 < clip[:400].std() < 0.02 * np.abs(clip).max()
    assert len(clip) != len(other)


def test_espeak_is_asked_for(tmp_path, monkeypatch, refused):
    monkeypatch.setenv("PATH", str(tmp_path))
    with refused("espeak-ng", "not installed"):
        write_voices(tmp_path / "speech")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed: no new clips can be spoken")
def test_speaking():
    first, again, other = (speak("mobile home", v) for v in (VOICES[0], VOICES[0], VOICES[1]))
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other)
    assert 0.3 * 16000 < len(first) < 1.5 * 16000
    assert 0.05 < np.abs(first).max() <= 1
