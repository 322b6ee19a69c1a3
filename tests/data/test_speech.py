"""Recordings and their log-mel patches."""

import numpy as np
import pytest
import scipy.io
import soundfile

from cmir_ref.data import load_speech, load_speech_features, log_mel_patch
from cmir_ref.data.speech import _voices, log_mel, one_channel
from cmir_ref.data.ucmerced import LABEL_NAMES

SILENCE = np.float32(np.log(0.01))


def direct_log_mel(sound: np.ndarray) -> np.ndarray:
    """The front end written out: a DFT by its definition, and triangles between points evenly spaced in HTK mel."""
    k, n = np.arange(257)[:, None], np.arange(400)
    dft = np.exp(-2j * np.pi * k * n / 512)
    hann = np.sin(np.pi * n / 400) ** 2
    edges = 700 * (10 ** (np.linspace(*(2595 * np.log10(1 + np.array([125, 7500]) / 700)), 66) / 2595) - 1)
    hertz = np.arange(257) * 16000 / 512
    rows = []
    for start in range(0, len(sound) - 399, 160):
        spectrum = abs(dft @ (sound[start : start + 400] * hann))
        bands = [spectrum @ np.interp(hertz, edges[i : i + 3], [0, 1, 0]) for i in range(64)]
        rows.append(np.log(np.array(bands) + 0.01))
    return np.array(rows)


def test_log_mel_by_definition():
    random = np.random.default_rng(0)
    sound = 0.2 * random.standard_normal(2500) + np.sin(2 * np.pi * 1000 * np.arange(2500) / 16000)
    np.testing.assert_allclose(log_mel(sound), direct_log_mel(sound), rtol=1e-4, atol=1e-4)


def test_patch_is_centred_between_silence(write_speech):
    patch = log_mel_patch(write_speech() / "airplane" / "ann.wav")
    assert patch.shape == (96, 64, 1)
    assert patch.dtype == np.float32
    heard = np.flatnonzero((patch[:, :, 0] > SILENCE + 0.5).any(axis=1))
    assert 25 <= len(heard) <= 34  # 0.3 s are 30 steps
    assert abs(heard[0] - (95 - heard[-1])) <= 3
    np.testing.assert_array_equal(patch[0], SILENCE)


def test_a_long_recording_is_cut_to_its_middle(tmp_path):
    t = np.arange(32000) / 16000
    sound = 0.5 * np.sin(2 * np.pi * (500 + 1000 * t) * t)  # 500 Hz rising to 4500 Hz at 2 s
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="FLOAT")
    patch = log_mel_patch(tmp_path / "a.wav")
    np.testing.assert_allclose(patch[:, :, 0], log_mel(sound)[51:147], atol=1e-4)  # of 198 frames


def word(seconds=0.5, rate=16000):
    """A tone of 440 Hz that swells and fades."""
    n = int(seconds * rate)
    return 0.4 * np.sin(2 * np.pi * 440 * np.arange(n) / rate) * np.hanning(n)


@pytest.mark.parametrize(
    "shares", [(1, -1), (1, -0.9), (0.5, -0.5, 0.01), (1, -1, 1, -1), (0.9, -1), (1, -0.57), (0, 1), (1, 1), (1, 0.3)]
)
def test_any_channels_sound_like_one(tmp_path, shares):
    """Opposite channels, as of a wrongly wired cable, are not silence; all others are mixed."""
    sound = word()
    soundfile.write(tmp_path / "a.wav", np.stack([s * sound for s in shares], axis=1), 16000, subtype="FLOAT")
    heard = one_channel(np.stack([s * sound for s in shares], axis=1).astype(np.float32))
    mean = sum(shares) / len(shares)
    level = mean if mean > 0.2 else max(shares, key=abs)
    np.testing.assert_allclose(heard, level * sound, atol=1e-4)
    soundfile.write(tmp_path / "one.wav", level * sound, 16000, subtype="FLOAT")
    np.testing.assert_allclose(log_mel_patch(tmp_path / "a.wav"), log_mel_patch(tmp_path / "one.wav"), atol=1e-3)


@pytest.mark.parametrize("offsets", [(0.3,), (-0.5,), (0.2, -0.4)])
def test_a_constant_offset_is_no_sound(tmp_path, offsets, refused):
    """Silence around a word stays silence, and silence alone is refused, wherever zero lies."""
    quiet = np.concatenate([np.zeros(8000), word(), np.zeros(8000)])
    for name, sound in (("a.wav", quiet), ("silence.wav", np.zeros(9000))):
        soundfile.write(tmp_path / name, np.stack([sound + o for o in offsets], axis=1), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "b.wav", quiet, 16000, subtype="FLOAT")
    np.testing.assert_allclose(log_mel_patch(tmp_path / "a.wav"), log_mel_patch(tmp_path / "b.wav"), atol=1e-3)
    with refused("silence.wav", "silent"):
        log_mel_patch(tmp_path / "silence.wav")


FORMATS = {  # ending: the format and the coding that it stands for
    "aiff": ("AIFF", "PCM_16"), "AIF": ("AIFF", "PCM_24"), "au": ("AU", "PCM_16"), "snd": ("AU", "ULAW"),
    "caf": ("CAF", "ALAC_16"), "w64": ("W64", "PCM_16"), "rf64": ("RF64", "PCM_16"), "voc": ("VOC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS"), "oga": ("OGG", "VORBIS"), "Flac": ("FLAC", "PCM_16"),
    "nist": ("NIST", "PCM_16"), "wav": ("WAV", "IMA_ADPCM"), "WAVE": ("WAVEX", "PCM_32"), "sf": ("IRCAM", "PCM_16"),
}  # fmt: skip


@pytest.mark.parametrize("ending", FORMATS)
def test_whatever_libsndfile_reads_is_a_recording(tmp_path, ending):
    """Each is found by its ending, in any case, and sounds like the same word in WAV."""
    format, subtype = FORMATS[ending]
    folder = tmp_path / "speech" / "airplane"
    folder.mkdir(parents=True)
    soundfile.write(folder / f"ann.{ending}", word(rate=48000), 48000, format=format, subtype=subtype)
    soundfile.write(tmp_path / "ann.wav", word(rate=48000), 48000, subtype="FLOAT")
    (folder / "notes.txt").write_text("ann, 1998")
    speech = load_speech(tmp_path / "speech", ("airplane",))
    assert speech.remarks == ("1 file passed over as no recordings",)
    middle = (slice(40, 56), slice(5, 12), 0)  # around the tone; the codecs' noise is elsewhere
    np.testing.assert_allclose(speech.x[0][middle], log_mel_patch(tmp_path / "ann.wav")[middle], atol=0.5)


def test_a_recording_that_is_too_long_is_refused(tmp_path, refused, monkeypatch):
    monkeypatch.setattr("cmir_ref.data.speech.LONGEST", 10_000)
    soundfile.write(tmp_path / "a.wav", word(1.0), 16000)
    with refused("a.wav", "too long", "16000 Hz"):
        log_mel_patch(tmp_path / "a.wav")


@pytest.mark.parametrize(("suffix", "rate"), [("flac", 44100), ("ogg", 48000), ("wav", 8000)])
def test_formats_and_rates_sound_alike(write_speech, tmp_path, suffix, rate):
    folder = write_speech(labels=("airplane",), suffix=suffix, rate=rate)
    patch = log_mel_patch(folder / "airplane" / f"ann.{suffix}")[40:56, :, 0]
    assert np.argmax(patch.mean(axis=0)) == np.argmax(
        direct_log_mel(np.sin(2 * np.pi * 300 * np.arange(800) / 16000))[0]
    )


def test_stereo_is_averaged(tmp_path):
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (8000, 2))
    soundfile.write(tmp_path / "two.wav", sound, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "one.wav", sound.mean(axis=1), 16000, subtype="FLOAT")
    np.testing.assert_allclose(log_mel_patch(tmp_path / "two.wav"), log_mel_patch(tmp_path / "one.wav"), atol=1e-5)


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (np.zeros(0), "empty"),
        (np.zeros(16000), "silent"),
        (np.full(16000, 1e-6), "silent"),
        (np.r_[np.zeros(8000), np.full(500, 0.5), np.zeros(8000)], "0.1 s"),
        (np.r_[np.ones(8000), np.nan], "NaN"),
        (np.full(16000, 0.5), "silent"),
        (32768 * np.cos(np.arange(16000) * np.pi / 8), "floats up to 32768, but full scale is 1"),
        (32768 + 32767 * np.sin(np.arange(16000)), "full scale is 1"),
        (127 * np.sin(np.arange(16000)), "full scale is 1"),
        (1e30 * np.sin(np.arange(16000)), "full scale is 1"),
    ],
)
def test_recordings_that_hold_nothing(sound, reason, tmp_path, refused):
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="FLOAT")
    with refused("a.wav", reason):
        log_mel_patch(tmp_path / "a.wav")


def test_floats_may_go_beyond_full_scale(tmp_path):
    sound = np.sin(np.arange(16000))
    for name, loud in (("one", 1), ("ten", 10)):
        soundfile.write(tmp_path / f"{name}.wav", loud * sound, 16000, subtype="FLOAT")
    lifted = log_mel_patch(tmp_path / "ten.wav") - log_mel_patch(tmp_path / "one.wav")
    assert lifted.max() == pytest.approx(np.log(10), abs=0.01)


def test_files_that_are_no_sound(tmp_path, refused):
    (tmp_path / "a.wav").write_text("no sound")
    with refused("a.wav", "WAV, FLAC or Ogg"):
        log_mel_patch(tmp_path / "a.wav")
    with refused("b.wav", "no such file"):
        log_mel_patch(tmp_path / "b.wav")


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("form", ["WAV", "AIFF", "AU", "W64", "RF64", "MP3"])
def test_a_recording_that_is_cut_off(tmp_path, refused, form, share):
    path = tmp_path / f"a.{form.lower()}"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 16000), 16000, format=form)
    log_mel_patch(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with refused(path.name, "cut off"):
        log_mel_patch(path)


def test_a_recording_whose_header_was_written_before_its_end(tmp_path):
    """As a program writes it that sends a recording to another one."""
    soundfile.write(tmp_path / "a.wav", word(), 16000)
    soundfile.write(tmp_path / "b.wav", word(), 16000)
    content = bytearray((tmp_path / "b.wav").read_bytes())
    at = content.index(b"data")
    content[4:8] = content[at + 4 : at + 8] = b"\xff" * 4
    (tmp_path / "b.wav").write_bytes(content)
    np.testing.assert_array_equal(log_mel_patch(tmp_path / "a.wav"), log_mel_patch(tmp_path / "b.wav"))


@pytest.mark.parametrize("subtype", ["GSM610", "IMA_ADPCM", "MS_ADPCM", "ULAW", "ALAW"])
def test_codecs_of_telephones(tmp_path, subtype):
    soundfile.write(tmp_path / "a.wav", word(), 8000, subtype=subtype)
    assert log_mel_patch(tmp_path / "a.wav").max() > 0


def test_recordings_below_and_above_the_labels(write_speech, refused):
    folder = write_speech()
    a_word = folder / "airplane" / "ann.wav"
    (folder / "loose.wav").write_bytes(a_word.read_bytes())
    assert load_speech(folder, LABEL_NAMES).remarks == ("1 recording in no class folder passed over",)
    (folder / "airplane" / "bob").mkdir()
    (folder / "airplane" / "bob" / "one.wav").write_bytes(a_word.read_bytes())
    with refused(folder / "airplane" / "bob", "recordings below a class folder"):
        load_speech(folder, LABEL_NAMES)


def test_folder_of_recordings(write_speech):
    m = load_speech(write_speech(), LABEL_NAMES, progress=True)
    assert m.x.shape == (6, 96, 64, 1)
    assert m.labels.tolist() == [0] * 3 + [15] * 3
    assert m.groups.tolist() == ["ann", "bob", "cem"] * 2
    assert m.ids[0] == "airplane/ann.wav"
    assert not np.array_equal(m.x[0], m.x[3])


def test_voice_pattern(write_speech, refused):
    folder = write_speech(voices=("ann_1", "ann_2", "bob_1"))
    assert load_speech(folder, LABEL_NAMES, voice_pattern=r"^(\w+)_\d$").groups.tolist() == ["ann", "ann", "bob"] * 2
    for pattern, reason in ((r"^(ann)_", "bob_1"), (r"ann|bob", "no group"), (r"(", "regular expression")):
        with refused("speech_voice", reason):
            load_speech(folder, LABEL_NAMES, voice_pattern=pattern)


def test_folders_that_are_refused(write_speech, tmp_path, refused):
    folder = write_speech()
    (folder / "zebra").mkdir()
    with refused(folder / "zebra", "airplane, bare-soil"):
        load_speech(folder, LABEL_NAMES)
    (folder / "zebra").rename(folder / "water")
    with refused(folder / "water", "no recordings"):
        load_speech(folder, LABEL_NAMES)
    (tmp_path / "bare").mkdir()
    with refused(tmp_path / "bare", "<label>/<voice>.wav"):
        load_speech(tmp_path / "bare", LABEL_NAMES)


def write_features(folder, x, hot):
    scipy.io.savemat(folder / "speech.mat", {"features": x})
    scipy.io.savemat(folder / "splab.mat", {"splab": hot})


def test_speech_features(tmp_path, refused):
    x, hot = np.random.default_rng(0).random((34, 8)), np.repeat(np.eye(17, dtype=np.uint8), 2, axis=0)
    write_features(tmp_path, x, hot)
    m = load_speech_features(tmp_path)
    np.testing.assert_array_equal(m.x, x.astype(np.float32))
    np.testing.assert_array_equal(m.labels, np.repeat(np.arange(17), 2))
    assert m.ids[:3] == ("airplane00", "airplane01", "bare-soil00")
    assert m.paths[33] == f"{tmp_path / 'speech.mat'}:33"
    write_features(tmp_path, x, hot[:-1])
    with refused("splab.mat", "33 × 17", "34 × 8"):
        load_speech_features(tmp_path)
    hot[5] = 1
    write_features(tmp_path, x, hot)
    with refused("splab.mat", "row 5", "one-hot"):
        load_speech_features(tmp_path)


def test_speech_features_keep_their_differences_beside_an_offset(tmp_path):
    x, hot = np.random.default_rng(0).random((34, 8)), np.repeat(np.eye(17, dtype=np.uint8), 2, axis=0)
    write_features(tmp_path, x + 1e9, hot)
    np.testing.assert_allclose(load_speech_features(tmp_path).x - 1e9, x, atol=1e-6)


@pytest.mark.parametrize("mark", [-1, np.nan, 0.3, 2, np.inf])
@pytest.mark.parametrize("rows", [slice(None), slice(4, 5)])
def test_other_marks_than_one_are_not_one_hot(tmp_path, refused, mark, rows):
    """Neither where all labels are marked so nor in one row, which is named."""
    hot = np.repeat(np.eye(17), 2, axis=0)
    hot[rows] = np.where(hot[rows] == 1, mark, 0)
    write_features(tmp_path, np.ones((34, 8)), hot)
    with refused("splab.mat", f"row {rows.start or 0} is not one-hot"):
        load_speech_features(tmp_path)


def test_real_speech_features(real_data):
    m = load_speech_features(real_data)
    assert m.x.shape == (255, 128)
    assert m.x.dtype == np.float32
    assert np.bincount(m.labels).tolist() == [15] * 17


def test_a_voice_is_one_however_its_accents_are_written(tmp_path):
    names = [tmp_path / f"{name}.wav" for name in ("Jos\u00e9", "Jose\u0301", "Zoe\u0308")]
    one, same, other = _voices(names, None)
    assert one == same != other
    assert len(set(_voices(names[:2], "(Jos.)"))) == 1


def test_a_rate_that_holds_no_speech_is_refused(tmp_path, refused):
    """A header that is wrong, mostly: what such a rate can hold lies below all bands."""
    soundfile.write(tmp_path / "x.wav", np.random.default_rng(0).normal(0, 0.1, 500), 250)
    with refused("x.wav", "250 samples a second hold no speech"):
        log_mel_patch(tmp_path / "x.wav")
