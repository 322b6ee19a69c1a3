"""A validation that can choose settings of the sound network, made of the bundled voices alone.

`python lessons/results/hard_voices.py [--seeds 3] [--set key=value …]` prints a Markdown table. One validation voice
beside nine that are trained on cannot choose: every word of it is named right. Here seed k trains on the four voices of
`FOLDS[k % 3]`, and those of the other sex, or of other accents, validate: as they are, and changed. Whispered, or at
another speed and so with other formants too; then in a room, through a telephone, or before noise. This is done to the
samples of the recording, which then go through the front end, so it is no copy of `training/augment.py::say_again`.

Training is a short one, for it is done often: 30 epochs of 2 passes in batches of 16, about 30 s of processor time. The
last epoch is kept: what chooses settings must not choose the epoch.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import istft, resample_poly, stft
from voices import features_after_training, run_script, without_images

from cmir_ref.backend import generator
from cmir_ref.config import load_config
from cmir_ref.data import load_speech, samples_dir
from cmir_ref.data.speech import RATE, read_sound
from cmir_ref.data.ucmerced import LABEL_NAMES
from cmir_ref.records import Dataset, Modality, Splits

FRAMES = {"fs": RATE, "nperseg": 400, "noverlap": 300, "nfft": 512}
SHORT = ("stage1.epochs=30", "stage1.sound_passes=2", "stage1.batch_size=16", "stage1.keep=last")
FOLDS = (  # the voices that train, and the voices that validate, by what their names hold
    (("en-us-m3", "en-gb-m1", "en-gb-x-rp-m4", "en-gb-scotland-m2"), lambda voice: voice[-2] == "f"),
    (("en-us-f2", "en-gb-f4", "en-gb-x-rp-f3", "en-gb-scotland-f2"), lambda voice: voice[-2] == "m"),
    (("en-us-m3", "en-us-f2", "en-us-nyc-m7", "en-us-nyc-f1"), lambda voice: not voice.startswith("en-us")),
)


def whisper(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Samples (n,) with noise in place of the voice: of each frame's spectrum the envelope is kept, its cepstrum below
    1.6 ms."""
    cepstrum = np.fft.irfft(np.log(abs(stft(sound, **FRAMES)[2]) + 1e-5), axis=0)
    cepstrum[25:-24] = 0
    noise = stft(rng.standard_normal(len(sound)), **FRAMES)[2]
    return istft(np.exp(np.fft.rfft(cepstrum, axis=0).real) * noise / abs(noise).mean(), **FRAMES)[1]


def speed_up(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Samples (n,), 18 % faster and higher."""
    return resample_poly(sound, 100, 118)


def slow_down(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Samples (n,), 18 % slower and lower."""
    return resample_poly(sound, 118, 100)


def in_room(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Samples (n,) and, as loud together, their echoes: noise that falls by 60 dB within 0.3 to 0.6 s."""
    count = int(RATE * rng.uniform(0.3, 0.6))
    walls = rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / (count - 1))
    walls /= np.linalg.norm(walls)
    walls[0] += 1
    return np.convolve(sound, walls)


def by_telephone(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Samples (n,) at 8 kHz through a thin microphone, in 63 steps of µ-law."""
    half = resample_poly(sound, 1, 2)
    half = 0.4 * half + 0.6 * np.diff(half, prepend=0)
    half /= abs(half).max()
    steps = np.round(31 * np.sign(half) * np.log1p(255 * abs(half)) / np.log(256)) / 31
    return resample_poly(np.sign(steps) * np.expm1(abs(steps) * np.log(256)) / 255, 2, 1)


def before_noise(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Samples (n,) and noise between white and brown, 10 dB below the louder half of them."""
    noise = np.fft.rfft(rng.standard_normal(len(sound)))
    noise = np.fft.irfft(noise / np.arange(len(noise)).clip(1) ** rng.uniform(0.2, 1), len(sound))
    loud = np.sort(sound**2)[-len(sound) // 2 :].mean()
    return sound + noise * np.sqrt(loud / (noise**2).mean() / 10)


SPEAKERS, PLACES = (whisper, speed_up, slow_down), (in_room, by_telephone, before_noise)


def turn_of(recordings: Modality, k: int) -> int:
    """Which of the nine pairs of a speaker and a place recording k goes through: in turn over voices and labels."""
    n = sorted(set(recordings.groups)).index(recordings.groups[k])
    return (4 * int(recordings.labels[k]) + 7 * n + n // 5) % 9


def write_changed(recordings: Modality, folder: Path) -> Modality:
    """Each recording through one speaker and one place, written below `folder` and read from there."""
    for k, path in enumerate(map(Path, recordings.paths)):
        rng, turn = generator(k, "hard voices"), turn_of(recordings, k)
        sound = PLACES[turn // 3](SPEAKERS[turn % 3](read_sound(path).astype(float), rng), rng)
        out = folder / path.parent.name / f"{path.stem}.wav"
        out.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(out, 0.5 * sound / abs(sound).max(), RATE)
    return load_speech(folder, LABEL_NAMES)


def measure_names(
    changes: list[str], seed: int, images: Modality, plain: Modality, changed: Modality
) -> dict[str, float]:
    """The share of words that this seed names right, of validation voices as they are, and changed, all together and
    through each speaker and place."""
    config = load_config("image-speech", ["speech=bundled", "dataset=features", *SHORT, *changes], seed=seed)
    trains, validates = FOLDS[seed % len(FOLDS)]
    count = len(plain.x)
    both = plain._replace(
        x=np.concatenate([plain.x, changed.x]),
        labels=np.concatenate([plain.labels, changed.labels]),
        groups=np.concatenate([plain.groups, changed.groups]),
        ids=plain.ids + tuple(f"changed {name}" for name in changed.ids),
        paths=None,
    )
    train = np.flatnonzero(np.isin(plain.groups, trains))
    here = np.flatnonzero([validates(voice) for voice in plain.groups])
    data, rows = Dataset({"a": images, "b": both}, LABEL_NAMES, None, "no images"), np.arange(len(images.x))
    parts = Splits(*({"a": rows, "b": part} for part in (train, train[:1], here)))
    made = features_after_training(config, data, parts, data)
    right = made["logits.b"].argmax(axis=1) == both.labels
    figures = {"as they are": right[here].mean(), "changed": right[here + count].mean()}
    turns = np.array([turn_of(plain, k) for k in here])
    for k, speaker in enumerate(SPEAKERS):
        figures[speaker.__name__] = right[here + count][turns % 3 == k].mean()
    for k, place in enumerate(PLACES):
        figures[place.__name__] = right[here + count][turns // 3 == k].mean()
    return figures


def main() -> None:
    """Prints the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="key=value")
    asked = parser.parse_args()
    plain = load_speech(samples_dir() / "speech", LABEL_NAMES)
    with tempfile.TemporaryDirectory() as folder:
        changed = write_changed(plain, Path(folder))
    images = without_images(plain).modalities["a"]
    figures = [measure_names(asked.set, seed, images, plain, changed) for seed in range(asked.seeds)]
    print("| validation voices | named right | each seed |\n|---|---|---|")
    for name in figures[0]:
        by_seed = np.array([f[name] for f in figures])
        spread = f" ± {by_seed.std(ddof=1):.3f}" if len(by_seed) > 1 else ""
        print(f"| {name.replace('_', ' ')} | {by_seed.mean():.3f}{spread} | {', '.join(f'{a:.3f}' for a in by_seed)} |")


if __name__ == "__main__":
    run_script(main)
