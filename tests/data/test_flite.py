"""The labels in the voices of another engine, that training never hears."""

import os
import shutil

import numpy as np
import pytest
import soundfile

from cmir_ref.data import flite, load_speech
from cmir_ref.data.ucmerced import LABEL_NAMES

FAKE = """#!/bin/sh
if [ "$1" = -lv ]; then echo "Voices available: {voices}"; exit; fi
if [ "$4" = "{mute}" ]; then echo "no words" >&2; exit 1; fi
cp "{clip}" "$6"
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a program `flite` in front of all others that has these voices."""

    def put(voices="kal awb_time kal16 awb rms slt", mute=""):
        folder = tmp_path / "bin"
        folder.mkdir()
        clip = tmp_path / "clip.wav"
        soundfile.write(clip, np.sin(np.arange(8000) / 5), 16000)
        (folder / "flite").write_text(FAKE.format(voices=voices, mute=mute, clip=clip))
        (folder / "flite").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return put


def test_every_label_in_every_voice(tmp_path, fake):
    fake()
    flite.write_flite(tmp_path / "clips")
    files = {f"{f.parent.name}/{f.name}" for f in (tmp_path / "clips").glob("*/*")}
    assert (
        files == {f"{label}/{voice}.wav" for label in LABEL_NAMES for voice in flite.FLITE_VOICES} and len(files) == 68
    )
    assert len(load_speech(tmp_path / "clips", LABEL_NAMES).x) == 68


def test_flite_is_asked_for(tmp_path, monkeypatch, refused):
    monkeypatch.setenv("PATH", str(tmp_path))
    with refused("flite", "not installed", "Debian"):
        flite.write_flite(tmp_path / "clips")
    assert list(tmp_path.iterdir()) == []


def test_a_voice_that_flite_lacks(tmp_path, fake, refused):
    """flite itself speaks in another voice and says nothing."""
    fake(voices="kal kal16")
    with refused("no voice 'awb'", "kal, kal16"):
        flite.write_flite(tmp_path / "clips")
    assert not (tmp_path / "clips").exists()


def test_a_label_that_cannot_be_spoken(tmp_path, fake, refused):
    fake(mute="mobile home")
    with refused("'mobile home'", "kal", "no words"):
        flite.write_flite(tmp_path / "clips")


@pytest.mark.skipif(not shutil.which("flite"), reason="flite is not installed: no new clips can be spoken")
def test_speaking(tmp_path):
    sounds = {}
    for voice in flite.FLITE_VOICES:
        flite.speak_to_file("mobile home", voice, tmp_path / f"{voice}.wav")
        sounds[voice], rate = soundfile.read(tmp_path / f"{voice}.wav")
        assert rate == (8000 if voice == "kal" else 16000) and 0.4 < len(sounds[voice]) / rate < 1.6
        assert 0.05 < np.abs(sounds[voice]).max() <= 1
    assert len({sound.tobytes() for sound in sounds.values()}) == 4
