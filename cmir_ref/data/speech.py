"""Recordings of spoken labels as log-mel patches: the VGGish front end (Hershey et al., ICASSP 2017)."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import check_readable
from ..progress import track
from ..records import Modality
from .locate import data_folder, label_of, subfolders
from .sound_library import load_librosa

RATE = 16000  # Hz
WINDOW, HOP, FFT = 400, 160, 512  # samples: 25 ms, 10 ms
BANDS, LOWEST, HIGHEST = 64, 125.0, 7500.0  # mel bands, Hz
FRAMES = 96
FLOOR = 0.01  # added to the mel magnitudes before the logarithm
SHORTEST = 0.1  # seconds of sound
TRIM_DB = 40  # ends that are this much below the loudest part are silence
SILENT = 1e-4  # peak below which a recording holds nothing; full scale is 1
SUFFIXES = (".wav", ".flac", ".ogg")


def load_speech(
    folder: str | Path,
    label_names: Sequence[str],
    *,
    voice_pattern: str | None = None,
    progress: bool = False,
    name: str = "speech",
) -> Modality:
    """Recordings `<label>/<voice>.{wav,flac,ogg}` below `folder` as log-mel patches (N, 96, 64, 1) float32.

    Labels are numbers in `label_names`. The voice is the file's stem, or group 1 of the regular expression
    `voice_pattern` found in the stem. Raises `InputError` for a folder that is no label or holds no recording, a stem
    without a voice, and what `log_mel_patch` refuses.
    """
    folder = data_folder(folder)
    paths: list[Path] = []
    for sub in subfolders(folder):
        if label_of(sub) not in label_names:
            raise InputError(f"{sub}: unknown label; the labels are {', '.join(label_names)}")
        files = sorted(p for p in sub.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
        if not files:
            raise InputError(f"{sub}: no recordings; expected {sub.name}/<voice>.wav, .flac or .ogg")
        paths += files
    if not paths:
        raise InputError(f"{folder}: no label folders; expected <label>/<voice>.wav, .flac or .ogg")
    voices = _voices(paths, voice_pattern)
    labels = np.array([list(label_names).index(label_of(path.parent)) for path in paths])
    x = np.stack([log_mel_patch(path) for path in track(paths, len(paths), "reading recordings", progress)])
    ids = tuple(f"{path.parent.name}/{path.name}" for path in paths)
    return Modality(name, "sound", x, labels, ids, tuple(map(str, paths)), voices)


def log_mel_patch(path: str | Path) -> np.ndarray:
    """One recording, any rate, mono or stereo, as a log-mel patch (96, 64, 1) float32: 10 ms frames × mel bands.

    Silence at both ends is trimmed; what remains is centred in 96 frames, padded with the value of silence or cut.
    Raises `InputError` for a file that is missing, unreadable, empty, silent, or shorter than 0.1 s once trimmed.
    """
    librosa = load_librosa()
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    check_readable(path)
    try:
        with open(path, "rb") as file:
            sound, _ = librosa.load(file, sr=RATE, mono=True)
    except librosa.ParameterError:
        raise InputError(f"{path}: NaN or infinity among its samples; numbers must be finite") from None
    except Exception as error:  # a damaged file can fail anywhere inside a decoder
        raise InputError(f"{path}: not a sound file that can be read; use WAV, FLAC or Ogg") from error
    if not sound.size:
        raise InputError(f"{path}: the recording is empty")
    if np.abs(sound).max() < SILENT:
        raise InputError(f"{path}: the recording is silent")
    sound, _ = librosa.effects.trim(sound, top_db=TRIM_DB, frame_length=WINDOW, hop_length=HOP)
    if len(sound) < SHORTEST * RATE:
        raise InputError(f"{path}: {len(sound) / RATE:.3f} s of sound once silence is trimmed; at least {SHORTEST} s")
    return _centred(log_mel(sound))[..., None]


def log_mel(sound: np.ndarray) -> np.ndarray:
    """Log-mel spectrogram (T, 64) float32 of samples (n,) at 16 kHz, T = 1 + (n - 400) // 160 whole frames.

    Frames of 25 ms under a periodic Hann window, every 10 ms; magnitude of a 512-point FFT; 64 triangular bands between
    125 and 7500 Hz, evenly spaced in HTK mel and of unit height; log(mel + 0.01). The triangles are straight in Hz, as
    librosa draws them; VGGish's own are straight in mel.
    """
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    return np.log(np.abs(np.fft.rfft(frames * hann, FFT)) @ _mel_bands() + FLOOR).astype(np.float32)


@cache
def _mel_bands() -> np.ndarray:
    """Weights (257, 64) of the spectrum's bins in the mel bands."""
    librosa = load_librosa()
    return librosa.filters.mel(
        sr=RATE, n_fft=FFT, n_mels=BANDS, fmin=LOWEST, fmax=HIGHEST, htk=True, norm=None, dtype=np.float64
    ).T


def _centred(frames: np.ndarray) -> np.ndarray:
    """(T, 64) as (96, 64): the middle of a long recording, or a short one with silence, log(0.01), on both sides."""
    spare = FRAMES - len(frames)
    if spare <= 0:
        return frames[-spare // 2 : -spare // 2 + FRAMES]
    return np.pad(frames, ((spare // 2, spare - spare // 2), (0, 0)), constant_values=np.log(FLOOR))


def _voices(paths: list[Path], pattern: str | None) -> np.ndarray:
    """The voice of each recording (N,)."""
    if pattern is None:
        return np.array([path.stem for path in paths])
    try:
        voice = re.compile(pattern)
    except re.error as error:
        raise InputError(f"speech_voice: {pattern!r} is not a regular expression ({error})") from error
    if voice.groups < 1:
        raise InputError(f"speech_voice: {pattern!r} has no group; put the part that names the voice in parentheses")
    found = [voice.search(path.stem) for path in paths]
    for path, match in zip(paths, found, strict=True):
        if not match or not match[1]:
            raise InputError(f"{path}: speech_voice {pattern!r} finds no voice in the file's stem {path.stem!r}")
    return np.array([match[1] for match in found])
