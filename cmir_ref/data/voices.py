"""The spoken labels that come with the package: UC Merced's 17 labels in 15 voices of the synthesiser espeak-ng.

`python -m cmir_ref.data.voices OUT` makes them anew and needs `espeak-ng` (Debian: apt-get install espeak-ng); nobody
who only uses the clips does. espeak-ng: https://github.com/espeak-ng/espeak-ng, GPL-3.0; its sound belongs to its user.
"""

import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..backend import generator
from ..errors import InputError
from ..files import whole_folder
from ..progress import on_terminal, track
from ..streams import run_module
from .speech import RATE
from .ucmerced import LABEL_NAMES

ESPEAK_RATE = 22050  # Hz


class Voice(NamedTuple):
    """A speaker: an accent of English and a voice variant of espeak-ng (m: male, f: female)."""

    accent: str
    variant: str
    pitch: int  # 0 … 99, 50 is the variant's own
    speed: int  # words a minute

    @property
    def name(self) -> str:
        return f"{self.accent}-{self.variant}"


VOICES = (
    Voice("en-us", "m3", 45, 150), Voice("en-us", "f2", 55, 165),
    Voice("en-us-nyc", "m7", 40, 175), Voice("en-us-nyc", "f1", 45, 140),
    Voice("en-gb", "m1", 60, 160), Voice("en-gb", "f4", 50, 150),
    Voice("en-gb-x-rp", "m4", 35, 140), Voice("en-gb-x-rp", "f3", 60, 170),
    Voice("en-gb-scotland", "m2", 50, 165), Voice("en-gb-scotland", "f2", 40, 145),
    Voice("en-gb-x-gbclan", "m6", 55, 150), Voice("en-gb-x-gbclan", "f1", 65, 175),
    Voice("en-gb-x-gbcwmd", "m8", 50, 155), Voice("en-029", "m5", 45, 135), Voice("en-029", "f4", 60, 160),
)  # fmt: skip


def speak(text: str, voice: Voice) -> np.ndarray:
    """`text` in `voice` as samples at 16 kHz (n,), full scale 1; raises `InputError` where espeak-ng is not there."""
    from scipy.signal import resample_poly

    settings = ("-v", f"{voice.accent}+{voice.variant}", "-p", str(voice.pitch), "-s", str(voice.speed))
    try:
        done = subprocess.run(["espeak-ng", "-z", "--stdout", *settings, text], capture_output=True, check=True)
    except FileNotFoundError:
        raise InputError("espeak-ng: not installed; Debian has it as the package espeak-ng") from None
    except subprocess.CalledProcessError as error:
        raise InputError(f"espeak-ng cannot speak {text!r} as {voice.name}: {error.stderr.decode()}") from error
    sound = np.frombuffer(done.stdout[44:], "<i2") / 32768  # a WAV header written before its length was known
    return resample_poly(sound, RATE // 50, ESPEAK_RATE // 50)


def record(sound: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """`sound` as a microphone in a room would record it: between 30 and 150 ms of silence before and after, peak 0.25
    to 0.9 of full scale, and pink noise 40 to 55 dB below that peak."""
    loud = np.flatnonzero(np.abs(sound) > 0.01 * np.abs(sound).max())
    before, after = random.integers(0.03 * RATE, 0.15 * RATE, 2)
    clip = np.pad(sound[loud[0] : loud[-1] + 1], (before, after))
    noise = np.fft.rfft(random.standard_normal(len(clip)))
    noise = np.fft.irfft(noise / np.sqrt(np.arange(len(noise)).clip(1)), len(clip))
    clip = clip / np.abs(clip).max() + noise / noise.std() * 10 ** (-random.uniform(40, 55) / 20)
    return clip * (random.uniform(0.25, 0.9) / np.abs(clip).max())


def write_voices(folder: str | Path, *, seed: int = 0, progress: bool = False) -> None:
    """Every label in every voice as `folder/<label>/<voice>.flac`, 16 kHz, mono, 16 bit.

    The same clips for a seed and a version of espeak-ng. Raises `InputError` for a folder that exists and without
    espeak-ng.
    """
    import soundfile

    with whole_folder(folder) as out:
        for i, label in enumerate(track(LABEL_NAMES, len(LABEL_NAMES), "speaking", progress)):
            (out / label).mkdir()
            for j, voice in enumerate(VOICES):
                clip = record(speak(label.replace("-", " "), voice), generator(seed, "voices", i, j))
                soundfile.write(out / label / f"{voice.name}.flac", clip, RATE, subtype="PCM_16")


if __name__ == "__main__":
    run_module("python -m cmir_ref.data.voices OUT", lambda out: write_voices(out, progress=on_terminal()))
