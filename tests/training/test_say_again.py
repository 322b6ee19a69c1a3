"""A recording as another voice in another room says it: every number by itself does what its line says."""

import math
from itertools import product

import numpy as np
import pytest
import worlds

from cmir_ref.cmirnet import stage1, system
from cmir_ref.training.augment import SAME_VOICE, draw_voices, other_tempos, random_voice, say_again
from cmir_ref.training.inputs import level_bands, level_each, standardise_each
from cmir_ref.training.transfer import Sent

FLOOR = 0.01
SHAPES = [(20, 12), (96, 64)]


def magnitudes(n=3, frames=20, bands=12, seed=0):
    """m (n, frames, bands), with a silent place, as whatever is louder than silence is heard against it."""
    m = np.random.default_rng(seed).uniform(0, 3, (n, frames, bands))
    m[:, 0, 0] = 0
    return m


def patches_of(m, dtype=np.float64):
    return np.log(m + FLOOR)[..., None].astype(dtype)


def heard(patches):
    return np.exp(patches[..., 0]) - FLOOR


def say(patches, **changes):
    """`say_again` with these numbers, of all samples or one each; an underline stands for a blank."""
    number = SAME_VOICE | {name.replace("_", " "): value for name, value in changes.items()}
    assert number.keys() == SAME_VOICE.keys()
    view = np.stack([np.broadcast_to(value, len(patches)) for value in number.values()], axis=1).astype(float)
    return say_again(patches, Sent(view, view))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_voice_says_the_same(shape, dtype):
    x = patches_of(magnitudes(4, *shape), dtype)
    before, out = x.copy(), say(x)
    assert out.dtype == dtype and out.shape == x.shape
    np.testing.assert_allclose(out, x, atol=20 * np.finfo(dtype).eps * abs(x).max())
    np.testing.assert_array_equal(x, before)


def test_nothing_said_stays_silent_unless_there_is_noise():
    x = patches_of(np.zeros((2, 20, 12)))
    changes = {"tempo": 1.2, "gain": 6, "tilt": 5, "echo": 1, "fade": 0.9, "noise": -0.1, "later": 3, "bands": 4}
    np.testing.assert_allclose(say(x, **changes), x, atol=1e-9)


@pytest.mark.parametrize("later", [5, -3])
def test_later(later):
    """Shifts by whole frames; silence comes in."""
    m = magnitudes()
    expected = np.zeros_like(m)
    if later > 0:
        expected[:, later:] = m[:, :-later]
    else:
        expected[:, :later] = m[:, -later:]
    np.testing.assert_allclose(heard(say(patches_of(m), later=later)), expected, atol=1e-9)


@pytest.mark.parametrize("higher", [2, -1])
def test_higher(higher):
    m = magnitudes()
    expected = m[:, :, (np.arange(12) - higher).clip(0, 11)]
    np.testing.assert_allclose(heard(say(patches_of(m), higher=higher)), expected, atol=1e-9)


def test_a_faster_voice_is_done_sooner():
    """Twice as fast: each second frame from the middle on, in half of the patch."""
    m = magnitudes()
    out = heard(say(patches_of(m), tempo=2))
    np.testing.assert_allclose(out[:, 5:15], m[:, ::2], atol=1e-9)
    assert abs(out[:, :5]).max() < 1e-9 and abs(out[:, 15:]).max() < 1e-9


def test_a_slower_voice_is_interpolated_in_the_logarithm():
    x = patches_of(magnitudes())
    out = say(x, tempo=0.5)
    np.testing.assert_allclose(out[:, ::2], x[:, 5:15], atol=1e-9)
    np.testing.assert_allclose(out[:, 1::2], (x[:, 5:15] + x[:, 6:16]) / 2, atol=1e-9)


def test_a_throat_stretches_the_bands():
    x = patches_of(magnitudes())
    np.testing.assert_allclose(say(x, throat=2)[:, :, :6], x[:, :, ::2], atol=1e-9)
    np.testing.assert_allclose(say(x, throat=0.5)[:, :, ::2], x[:, :, :6], atol=1e-9)
    np.testing.assert_allclose(say(x, throat=2)[:, :, 6:], np.repeat(x[:, :, 11:], 6, axis=2), atol=1e-9)


def test_loudness_and_colour_are_relative_level_of_magnitudes():
    m = magnitudes()
    x, place = patches_of(m), np.arange(12) / 11
    np.testing.assert_allclose(heard(say(x, gain=6)), m * 10 ** (6 / 20), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(heard(say(x, tilt=8)), m * 10 ** (8 * (place - 0.5) / 20), rtol=1e-9, atol=1e-9)
    colours = [3.0, -2.0, 0.5, 1.0, -4.0, 2.0]
    out = heard(say(x, **{f"colour_{k}": c for k, c in enumerate(colours)}))
    gain = np.interp(place, np.linspace(0, 1, 6), colours)
    np.testing.assert_allclose(out, m * 10 ** (gain / 20), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("echo", "fade"), [(0.7, 0.8), (1.0, 0.0), (0.3, 0.99)])
def test_an_echo_by_its_sum(echo, fade):
    m = magnitudes()
    expected = np.empty_like(m)
    for t in range(m.shape[1]):
        tail = sum((fade ** (t - s - 1) * m[:, s] ** 2 for s in range(t)), start=np.zeros_like(m[:, 0]))
        expected[:, t] = np.sqrt(m[:, t] ** 2 + echo * (1 - fade) * tail)
    np.testing.assert_allclose(heard(say(patches_of(m), echo=echo, fade=fade)), expected, rtol=1e-8, atol=1e-9)


def test_noise_adds_its_energy_and_can_be_taken_away():
    m = magnitudes()
    x, loudest = patches_of(m), m.max(axis=(1, 2), keepdims=True)
    slope = 10 ** (20 * (np.arange(12) / 11 - 0.5) / 20)
    noise = 0.1 * loudest * slope
    np.testing.assert_allclose(heard(say(x, noise=0.1, slope=20)), np.sqrt(m**2 + noise**2), rtol=1e-8, atol=1e-9)
    less = np.sqrt(np.maximum(m**2 - noise**2, 0))
    np.testing.assert_allclose(heard(say(x, noise=-0.1, slope=20)), less, rtol=1e-6, atol=1e-8)


def test_a_telephone_carries_the_lower_bands():
    m = magnitudes()
    out = heard(say(patches_of(m), bands=8))
    np.testing.assert_allclose(out[:, :, :8], m[:, :, :8], rtol=1e-9, atol=1e-9)
    assert abs(out[:, :, 8:]).max() < 1e-9


def test_gaps_hold_the_mean():
    x = patches_of(magnitudes(2))
    out = say(x, frame_middle_0=5, frame_width_0=[3, 0], band_middle_1=2, band_width_1=[0, 1])
    mean = x.mean(axis=(1, 2))
    gap = np.zeros(x.shape, bool)
    gap[0, 4:7] = gap[1, :, 2] = True
    np.testing.assert_allclose(out[~gap], x[~gap], atol=1e-9)
    np.testing.assert_allclose(out[gap], np.broadcast_to(mean[:, None, None], x.shape)[gap], atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_number_is_drawn_anew_for_every_recording(shape):
    drawn = list(draw_voices((0, *shape, 1), [300, 1, 7], np.random.default_rng(0), np))
    assert [part.host.shape for part in drawn] == [(n, len(SAME_VOICE)) for n in (300, 1, 7)]
    number = dict(zip(SAME_VOICE, drawn[0].host.T, strict=True))
    for name, values in number.items():
        assert np.isfinite(values).all() and len(np.unique(values)) > (1 if name == "bands" else 50), name
    assert 1.2 < number["tempo"].max() < 1.3 and number["tempo"].min() > 0.77
    assert 1.1 < number["throat"].max() < 1.2 and number["throat"].min() > 0.83
    assert (number["noise"] == 0).mean() > 0.2 and (number["noise"] < 0).any() and number["noise"].max() <= 0.1
    assert 0.15 < (number["bands"] < shape[1]).mean() < 0.35
    assert (number["fade"] < 1).all() and (number["echo"] == 0).mean() > 0.4


def test_echoes_fall_by_60_db_in_a_tenth_to_six_tenths_of_a_second():
    """… as rooms have it; a frame is 10 ms."""
    (view,) = draw_voices((0, 96, 64, 1), [20_000], np.random.default_rng(0), np)
    fade = view.host[:, list(SAME_VOICE).index("fade")].astype(float)
    seconds = 0.01 * np.log(1e-6) / np.log(fade)  # energies
    np.testing.assert_allclose(np.quantile(seconds, [0, 0.5, 1]), [0.1, 0.35, 0.6], atol=0.01)


def test_a_voice_is_as_often_early_as_late_low_as_high_quick_as_slow():
    (view,) = draw_voices((0, 96, 64, 1), [20_000], np.random.default_rng(0), np)
    number = dict(zip(SAME_VOICE, view.host.T.astype(float), strict=True))
    number |= {name: np.log(number[name]) for name in ("tempo", "throat")}
    for name in ("tempo", "throat", "later", "higher", "tilt", "slope", *(f"colour {k}" for k in range(6))):
        assert abs(number[name].mean()) < 0.03 * number[name].std(), name
    assert all(abs(number[f"colour {k}"].std() - 4) < 0.1 for k in range(6)), "dB"
    assert abs(np.corrcoef([number[f"colour {k}"] for k in range(6)]) - np.eye(6)).max() < 0.04, "each by itself"


def test_gaps_lie_anywhere_and_are_up_to_12_frames_and_8_bands_wide():
    (view,) = draw_voices((0, 96, 64, 1), [20_000], np.random.default_rng(0), np)
    number = dict(zip(SAME_VOICE, view.host.T, strict=True))
    for what, size, widest in (("frame", 96, 12), ("band", 64, 8)):
        for k, (where, most) in product(range(2), (("middle", size), ("width", widest))):
            found = np.quantile(number[f"{what} {where} {k}"], [0, 0.5, 1])
            np.testing.assert_allclose(found, [0, most / 2, most], atol=0.02 * most)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_draw_depends_on_its_generator_alone(shape):
    x = patches_of(magnitudes(8, *shape), np.float32)
    one, again, other = (random_voice(x, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any() and np.isfinite(one).all() and one.dtype == np.float32
    assert len({patch.tobytes() for patch in random_voice(x[:1].repeat(8, axis=0), np.random.default_rng(2))}) == 8
    view = next(draw_voices(x.shape, [8], np.random.default_rng(0), np)).host[3:4]
    alone = say_again(x[3:4], Sent(view, view))
    np.testing.assert_allclose(alone[0], one[3], atol=1e-5)  # a sample's voice says nothing of its batch


def test_each_recording_is_normalised_by_itself():
    x = np.random.default_rng(0).normal(3, 2, (5, 7, 4, 1)) * np.array([1, 10, 0.1, 1, 5])[:, None, None, None]
    x[3] = 4.0
    out = standardise_each(x)
    np.testing.assert_allclose(out.mean(axis=(1, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(out.std(axis=(1, 2, 3)), [1, 1, 1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(standardise_each(2 * x + 7), out, atol=1e-12)
    np.testing.assert_allclose(standardise_each(x[1:2])[0], out[1], atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_each_recording_has_the_same_range_of_loudness(shape, dtype):
    """By a loop over recordings, in decibels: −45 dB of the loudest place is added to every magnitude."""
    m = magnitudes(4, *shape) * np.array([1, 0.05, 20, 3])[:, None, None]
    x = patches_of(m, dtype)
    before, out = x.copy(), level_each(x, FLOOR)
    for one, patch in zip(m, out, strict=True):
        decibels = 20 * np.log10(one / one.max() + 10 ** (-45 / 20))
        expected = (decibels - decibels.mean()) / decibels.std()
        np.testing.assert_allclose(patch[..., 0], expected, atol=1e-9 if dtype == np.float64 else 5e-3)
    assert out.dtype == dtype
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(level_each(x[1:2], FLOOR)[0], out[1], atol=20 * np.finfo(dtype).eps)


def test_a_level_hides_gain_and_quiet_noise_and_silence_stays_finite():
    m = magnitudes(2)
    plain = level_each(patches_of(m), FLOOR)
    np.testing.assert_allclose(level_each(patches_of(7 * m), FLOOR), plain, atol=1e-9)
    noise = 1e-4 * m.max() * np.random.default_rng(1).random(m.shape)
    clean, noisy = patches_of(300 * m), patches_of(300 * (m + noise))
    moved = [abs(how(noisy) - how(clean)).max() for how in (level, standardise_each)]
    assert moved[0] < 0.1 * moved[1], "noise 80 dB below is heard where silence is"
    np.testing.assert_allclose(level_each(patches_of(0 * m), FLOOR), np.zeros((2, 20, 12, 1)), atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_band_has_mean_0_where_something_is_said(shape):
    """By a loop: only frames whose loudest band is within 30 dB of the loudest count."""
    m = magnitudes(4, *shape)
    m[:, ::3] *= 0.001
    out = level_bands(patches_of(m), FLOOR)
    for one, patch in zip(m, out, strict=True):
        decibels = 20 * np.log10(one / one.max() + 10 ** (-45 / 20))
        said = [frame for frame in decibels if frame.max() > decibels.max() - 30]
        assert len(said) == len(one) - len(one[::3])
        expected = decibels - np.mean(said, axis=0)
        np.testing.assert_allclose(patch[..., 0], (expected - expected.mean()) / expected.std(), atol=1e-8)
    alone = level_bands(patches_of(m[2:3]), FLOOR)
    np.testing.assert_allclose(alone[0], out[2], atol=1e-12)
    beside_silence = level_bands(patches_of(np.stack([m[2], 0 * m[2]])), FLOOR)
    np.testing.assert_allclose(beside_silence, np.stack([alone[0], 0 * alone[0]]), atol=1e-9)


def test_a_microphone_is_lost_where_bands_are_normalised():
    m = np.random.default_rng(0).uniform(1, 3, (2, 20, 12))
    colour = np.random.default_rng(1).uniform(0.8, 1.25, 12)
    plain, coloured = (level_bands(patches_of(100 * part), FLOOR) for part in (m, m * colour))
    by_level = [level(patches_of(100 * part)) for part in (m, m * colour)]
    assert abs(plain - coloured).max() < 0.1 * abs(by_level[0] - by_level[1]).max()


def test_other_tempos():
    x = patches_of(magnitudes())
    same, slower, faster = other_tempos(x)
    np.testing.assert_array_equal(same, x)
    np.testing.assert_allclose(slower, say(x, tempo=0.85), atol=1e-12)
    np.testing.assert_allclose(faster, say(x, tempo=1.18), atol=1e-12)


def level(x):
    return level_each(x, FLOOR)


# ---- in a run -------------------------------------------------------------------------------------------------------


def source_of(*changes):
    data = worlds.sounds()
    settings = worlds.config(*changes)
    made = system.fit_inputs("b", settings, data, system_parts(data), {})
    return system.input_source(settings, "b", data, made)


def system_parts(data):
    from cmir_ref.records import Splits

    every = {m: np.arange(len(modality.x)) for m, modality in data.modalities.items()}
    return Splits(every, every, every)


def test_a_voice_speaks_before_its_recording_is_normalised():
    rows = np.arange(18)
    source = source_of("stage1.augment=true", "stage1.voices=true", "normalise_sounds=recording")
    (view,) = source.views([len(rows)], np.random.default_rng(0), np)
    out = source.read(rows, view)
    np.testing.assert_allclose(out, standardise_each(random_voice(source.x, np.random.default_rng(0))), atol=1e-6)
    np.testing.assert_allclose(out.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_array_equal(source.read(rows), standardise_each(source.x))
    levelled = source_of("stage1.augment=true", "stage1.voices=true", "normalise_sounds=level")
    np.testing.assert_array_equal(levelled.read(rows), level(source.x))
    said = random_voice(source.x, np.random.default_rng(0))
    np.testing.assert_allclose(levelled.read(rows, view), level(said), atol=1e-6)
    plain = source_of("stage1.augment=true", "stage1.voices=true")
    assert plain.kind == "voice" and math.isclose(plain.read(rows).std(), 1, rel_tol=1e-3)
    assert source_of("stage1.augment=true").kind == "sound"


@pytest.mark.parametrize("passes", [1, 3])
def test_passes_over_the_recordings(passes):
    """Every recording as many times in an epoch, in another voice each time; other modalities once."""
    config = worlds.config("stage1.augment=true", "stage1.voices=true", f"stage1.sound_passes={passes}")
    source, rows = source_of("stage1.augment=true", "stage1.voices=true"), np.arange(16)
    task = stage1.stage1_task(config, "stage1.b", source, rows, rows)
    batches = list(task.batches(0))
    x = np.concatenate([batch[0] for batch in batches])
    labels = np.concatenate([batch[1] for batch in batches])
    assert len(batches) == task.steps_per_epoch == passes
    assert sorted(labels.tolist()) == sorted(source.labels[rows].tolist() * passes)
    assert len({patch.tobytes() for patch in x}) == 16 * passes
    vectors = source._replace(x=np.zeros((18, 8), np.float32), kind="features", normalise=lambda x: x)
    assert stage1.stage1_task(config, "stage1.b", vectors, rows, rows).steps_per_epoch == 1


@pytest.mark.parametrize("changes", [(), ("stage1.augment=true", "stage1.voices=true", "normalise_sounds=bands")])
def test_tempos_are_averaged(changes):
    """Features of a recording are the mean over its three tempos; those of an image stay as they are."""
    settings, data = worlds.config(*changes), worlds.sounds()
    made = system.fit_inputs("b", settings, data, system_parts(data), {})
    params, buffers = system.init_stage1("b", settings, data)

    def features(settings, data):
        return system.make_features("b", settings, params, buffers, data, made, np)["z.b"]

    b = data.modalities["b"]
    parts = [features(settings, data._replace(modalities={"b": b._replace(x=x)})) for x in other_tempos(b.x)]
    tempos = worlds.config(*changes, "stage1.average_tempos=true")
    np.testing.assert_allclose(features(tempos, data), np.mean(parts, axis=0), atol=1e-5)
    assert not np.allclose(features(tempos, data), parts[0])
    views = worlds.config(*changes, "stage1.average_views=true")
    np.testing.assert_array_equal(features(views, data), parts[0])


def test_a_recording_of_one_band_stays_a_number():
    said = random_voice(np.log(magnitudes(bands=1)[..., None] + 1e-3), np.random.default_rng(0))
    assert np.isfinite(said).all()
