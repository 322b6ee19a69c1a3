"""Recordings of spoken labels as log-mel patches: the VGGish front end (Hershey et al., ICASSP 2017)."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import check_file
from ..progress import track
from ..records import Modality
from .locate import data_folder, label_of, refuse_deeper, say_loose, say_passed_over, select_files, subfolders
from .sound_library import load_librosa

RATE = 16000  # Hz
WINDOW, HOP, FFT = 400, 160, 512  # samples: 25 ms, 10 ms
BANDS, LOWEST, HIGHEST = 64, 125.0, 7500.0  # mel bands, Hz
FRAMES = 96
FLOOR = 0.01  # added to the mel magnitudes before the logarithm
SHORTEST = 0.1  # seconds of sound
TRIM_DB = 40  # ends that are this much below the loudest part are silence
LONGEST = 10**7  # samples of a recording, all channels, before and after resampling: ten minutes
SILENT = 1e-4  # peak below which a recording holds nothing; full scale is 1
LOUDEST = 32  # peak above which floats are no sound of full scale 1, but whole numbers of some bits: a mix may reach 10
MISSING = 0.02  # the share of a recording that may be lacking at its end: writers of headers count a little wrong
UNKNOWN = 0x7FFF0000  # bytes, and more: what a header says that was written before the length was known
CANCELLED = 0.1  # channels whose mean has less than this share of the energy that unrelated ones would leave it
SUFFIXES = (  # of the formats that libsndfile reads by their content
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64",
    ".rf64", ".nist", ".sph", ".voc", ".paf", ".iff", ".svx", ".8svx", ".sf", ".ircam", ".avr", ".pvf", ".htk", ".xi",
)  # fmt: skip


def load_speech(
    folder: str | Path,
    label_names: Sequence[str],
    *,
    voice_pattern: str | None = None,
    progress: bool = False,
    name: str = "speech",
) -> Modality:
    """Recordings `<label>/<voice>.<ending>` below `folder` as log-mel patches (N, 96, 64, 1) float32.

    The endings are `SUFFIXES`, in any case; other files are passed over, and counted in the remarks. Labels are numbers
    in `label_names`. The voice is the file's stem, or group 1 of the regular expression
    `voice_pattern` found in the stem. Raises `InputError` for a folder that is no label or holds no recording, a stem
    without a voice, and what `log_mel_patch` refuses.
    """
    folder = data_folder(folder)
    paths, others = [], 0
    for sub in subfolders(folder):
        if label_of(sub) not in label_names:
            raise InputError(f"{sub}: unknown label; the labels are {', '.join(label_names)}")
        files, passed_over = select_files(sub, SUFFIXES)
        refuse_deeper(sub, SUFFIXES, "recordings")
        if not files:
            raise InputError(f"{sub}: no recordings; expected {sub.name}/<voice>.wav, .flac, .ogg or .mp3")
        paths, others = paths + files, others + passed_over
    if not paths:
        raise InputError(f"{folder}: no label folders; expected <label>/<voice>.wav, .flac, .ogg or .mp3")
    voices = _voices(paths, voice_pattern)
    labels = np.array([list(label_names).index(label_of(path.parent)) for path in paths])
    x = np.stack([log_mel_patch(path) for path in track(paths, len(paths), "reading recordings", progress)])
    ids = tuple(f"{path.parent.name}/{path.name}" for path in paths)
    remarks = say_passed_over(others, "recordings") + say_loose(folder, SUFFIXES, "recording")
    return Modality(name, "sound", x, labels, ids, tuple(map(str, paths)), voices, remarks=remarks)


def log_mel_patch(path: str | Path) -> np.ndarray:
    """One recording, any rate, any channels, as a log-mel patch (96, 64, 1) float32: 10 ms frames × mel bands.

    A constant offset is taken off each channel, and their mean is heard; of channels that cancel each other, the
    loudest. Silence at both ends is trimmed; what remains is centred in 96 frames, padded with the value of silence or
    cut. Raises `InputError` for a file that is missing, unreadable, empty, silent, beyond full scale, or
    shorter than 0.1 s once trimmed.
    """
    librosa, sound = load_librosa(), read_sound(path)
    if np.abs(sound).max() < SILENT:
        raise InputError(f"{path}: the recording is silent")
    sound, _ = librosa.effects.trim(sound, top_db=TRIM_DB, frame_length=WINDOW, hop_length=HOP)
    if len(sound) < SHORTEST * RATE:
        raise InputError(f"{path}: {len(sound) / RATE:.3f} s of sound once silence is trimmed; at least {SHORTEST} s")
    return _centred(log_mel(sound))[..., None]


def read_sound(path: str | Path) -> np.ndarray:
    """One recording of any format that libsndfile reads as one channel at 16 kHz (n,) float32, without an offset.

    Full scale is 1, whatever the file stores. Raises `InputError` for a file that is missing, unreadable, empty, too
    long, not finite, or of floats in another scale.
    """
    import soundfile

    check_file(path)
    try:
        with open(path, "rb") as stream, soundfile.SoundFile(stream) as file:
            rate, frames = file.samplerate, file.frames
            if rate <= 2 * LOWEST:
                raise InputError(f"{path}: {rate} samples a second hold no speech; save it anew, at its true rate")
            if max(frames * file.channels, frames * RATE / rate) > LONGEST:
                raise InputError(f"{path}: {frames} samples at {rate} Hz are too long; cut out what is spoken")
            channels = file.read(frames, dtype="float32", always_2d=True)  # some codecs must be told how many
            there = min(share_there(file.extra_info), len(channels) / frames if _counted(file) else 1)
        if not len(channels):
            raise InputError(f"{path}: the recording is empty, or cut off")
        if there < 1 - MISSING:
            raise InputError(f"{path}: cut off, {there:.0%} of the sound is there; copy it again, or save it anew")
        if not np.isfinite(channels).all():
            raise InputError(f"{path}: NaN or infinity among its samples; numbers must be finite")
        mono = one_channel(channels, max(1, rate * WINDOW // RATE))
        if (peak := np.abs(mono).max()) > LOUDEST:
            raise InputError(f"{path}: floats up to {peak:.5g}, but full scale is 1; divide 16-bit values by 32768")
        return load_librosa().resample(mono, orig_sr=rate, target_sr=RATE)
    except InputError:
        raise
    except Exception as error:  # a damaged file can fail anywhere inside a decoder
        raise InputError(f"{path}: not a sound file that can be read; use WAV, FLAC or Ogg") from error


def share_there(log: str) -> float:
    """The share of its bytes of sound that a WAV, AIFF or AU file holds, by libsndfile's log of its header."""
    lengths = re.search(r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    declared, there = map(int, lengths.groups()) if lengths else (0, 0)
    return there / declared if there < declared < UNKNOWN else 1.0


def _counted(file) -> bool:
    """Whether the number of frames is one that the file says; of an MP3 without such a header it is a guess."""
    return file.frames > 0 and (file.format != "MP3" or re.search(r"bitrate mode *: variable", file.extra_info))


def offsets(channels: np.ndarray, frame: int) -> np.ndarray:
    """The constant offset of each channel (C,): the median over frames of a frame's mean; 0 where the peak drowns it.

    A mean over all samples would take a short word's own for an offset, and lift the silence around it.
    """
    whole = channels[: len(channels) // frame * frame].reshape(-1, frame, channels.shape[1])
    means = whole.mean(axis=1) if len(whole) else channels.mean(axis=0, keepdims=True)
    middle = np.median(means, axis=0)
    drowned = np.abs(middle) < 10 ** (-TRIM_DB / 20) * np.abs(channels - middle).max(axis=0)
    return np.where(drowned, 0, middle).astype(np.float32)


def one_channel(channels: np.ndarray, frame: int = WINDOW) -> np.ndarray:
    """Channels (n, C) as one (n,) float32 without constant offsets: their mean, or the loudest where they cancel.

    C unrelated channels of energies e_c have a mean of energy Σ e_c / C²; far less of it is left only where one is the
    other's opposite, as through a cable that is wired the wrong way round.
    """
    centred = channels - offsets(channels, frame)
    energy, mean = np.square(centred).mean(axis=0, dtype=np.float64), centred.mean(axis=1)
    cancel = np.square(mean).mean(dtype=np.float64) < CANCELLED * energy.sum() / channels.shape[1] ** 2
    return np.ascontiguousarray(centred[:, energy.argmax()]) if cancel else mean


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
    """The voice of each recording (N,): accents composed, as in labels, or one voice would be two."""
    stems = [unicodedata.normalize("NFC", path.stem) for path in paths]
    if pattern is None:
        return np.array(stems)
    try:
        voice = re.compile(pattern)
    except re.error as error:
        raise InputError(f"speech_voice: {pattern!r} is not a regular expression ({error})") from error
    if voice.groups < 1:
        raise InputError(f"speech_voice: {pattern!r} has no group; put the part that names the voice in parentheses")
    found = [voice.search(stem) for stem in stems]
    for path, match in zip(paths, found, strict=True):
        if not match or not match[1]:
            raise InputError(f"{path}: speech_voice {pattern!r} finds no voice in the file's stem {path.stem!r}")
    return np.array([match[1] for match in found])
