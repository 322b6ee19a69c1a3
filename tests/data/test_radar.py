"""The radar sees the same ground as both cameras, by other laws: heights, roughness, speckle, and no clouds."""

import hashlib
import platform
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import pytest
from test_scenes import MADE_WITH

from cmir_ref.backend import generator
from cmir_ref.data import load
from cmir_ref.data.cache import cached_radar, load_radar
from cmir_ref.data.world import LAND_COVER, generate, land, land_cover
from cmir_ref.data.world import radar as module
from cmir_ref.data.world.ground import Ground
from cmir_ref.data.world.materials import REFLECTANCE
from cmir_ref.data.world.radar import LOOKS, MARGIN, backscatter, digitise, multilook, project, radar, speckled

PINNED = "89499a6cdd611806a0dc069fb6f241efaa0ffd0632e004916de4785c6b9828b1"
CLASS = {name: k for k, name in enumerate(LAND_COVER)}


@pytest.fixture(scope="module")
def sheet():
    """Twelve images of every class."""
    return np.stack(list(generate(radar, [(0, k, k % 8) for k in range(96)])))


def decibels(numbers):
    return module.LOWEST + numbers[..., 0] * (module.HIGHEST - module.LOWEST) / module.FULL_SCALE


def of_class(sheet, name):
    return decibels(sheet[CLASS[name] :: 8].astype(float))


def flat(name):
    """The mean σ⁰ in dB of ground of one material, over many conditions."""
    colour = np.broadcast_to(np.array(REFLECTANCE[name], np.float32)[:, None, None], (4, 256, 256))
    none = np.zeros((256, 256), bool)
    found = [backscatter(np.random.default_rng(k), colour, none).mean(dtype=float) for k in range(12)]
    return 10 * np.log10(np.mean(found))


def test_a_scene_depends_on_its_arguments_alone(sheet):
    assert sheet.shape == (96, 64, 64, 1) and sheet.dtype == np.uint16
    for k in (11, 3, 11):
        np.testing.assert_array_equal(radar(0, k, k % 8), sheet[k])
    others = [radar(*args) for args in ((0, 3, 3), (1, 3, 3), (0, 11, 3), (0, 3, 4))]
    assert len({x.tobytes() for x in others}) == 4


def test_two_images_are_pinned(sheet):
    """Where they come out differently, `cache.VERSION` has to be raised."""
    found = {name: version(name) for name in MADE_WITH}
    if found != MADE_WITH or platform.machine() != "x86_64":
        pytest.skip(f"pinned for {MADE_WITH} on x86_64, here are {found} on {platform.machine()}")
    assert hashlib.sha256(sheet[3].tobytes() + sheet[6].tobytes()).hexdigest() == PINNED


def test_unknown_land_cover_is_refused(refused):
    for label in (-1, 8):
        with refused(f"land cover {label}", "0 to 7"):
            radar(0, 0, label)


def test_numbers_are_decibels_within_the_scale(sheet):
    assert sheet.max() <= module.FULL_SCALE
    assert ((sheet == 0) | (sheet == module.FULL_SCALE)).mean() < 0.02
    for power, number in ((1e-3, 0), (1e-9, 0), (10**1.5, 1023), (1e9, 1023), (10**-0.75, 512)):
        assert digitise(np.full((2, 3), power)).tolist() == [[[number]] * 3] * 2


@pytest.mark.parametrize("label", range(8))
def test_the_ground_is_that_of_the_cameras(label):
    """The survey draws what `land_cover` draws, number by number, and leaves its generator in the same state."""
    plain, surveyed = Ground(generator(2, "test", label)), module._Surveyed(generator(2, "test", label))
    for ground in (plain, surveyed):
        land.PAINTERS[label](ground)
    np.testing.assert_array_equal(plain.colour, surveyed.colour)
    np.testing.assert_array_equal(plain.lit, surveyed.lit)
    assert plain.rng.bit_generator.state == surveyed.rng.bit_generator.state


def test_the_cameras_pictures_do_not_change():
    before = land_cover(0, 3, 3)
    radar(0, 3, 3)
    np.testing.assert_array_equal(land_cover(0, 3, 3).pan, before.pan)


def test_materials_have_the_order_of_their_roughness():
    level = {name: flat(name) for name in ("clear water", "asphalt", "soil", "wet soil", "grass", "crop", "conifer")}
    assert level["clear water"] < level["asphalt"] - 2 < level["soil"] - 2
    assert level["soil"] < level["wet soil"] and level["soil"] < level["grass"] < level["conifer"]
    assert level["crop"] < level["conifer"] and -24 < level["clear water"] < -16 and -9 < level["conifer"] < -5


def test_classes_have_the_order_of_their_physics(sheet):
    mean = {name: np.median(of_class(sheet, name).mean(axis=(1, 2))) for name in LAND_COVER}
    spread = {name: np.median(of_class(sheet, name).std(axis=(1, 2))) for name in LAND_COVER}
    assert mean["water"] < mean["aquafarm"] < mean["low building"] < mean["forest"]
    assert mean["water"] < mean["high building"] - 4
    assert max(spread, key=spread.get) == "high building"
    top = {name: np.percentile(of_class(sheet, name), 99) for name in ("water", "forest", "high building")}
    assert top["water"] < top["forest"] < top["high building"]


def test_a_cloud_is_not_seen():
    """What lies below it is: σ⁰ comes from the ground as it was before the cloud, the last layer, was laid over it."""
    ground = module._Surveyed(generator(0, "scenes/land", 1, CLASS["cloud"]))
    land.PAINTERS[CLASS["cloud"]](ground)
    below, *heights = ground.before
    clouded = ground.colour.mean(axis=0) > 0.5
    assert 0.1 < clouded.mean() < 0.9
    assert ground.colour[:, clouded].mean() > 2 * below[:, clouded].mean()
    rng = generator(0, "scenes/radar", 1, CLASS["cloud"])
    sigma = backscatter(rng, below, heights[0][:, MARGIN:-MARGIN] > 0)
    wanted = digitise(speckled(rng, multilook(project(rng, sigma, *heights))))
    np.testing.assert_array_equal(radar(0, 1, CLASS["cloud"]), wanted)


def block(height, left=140, right=150, top=100, bottom=120):
    """(buildings, no trees) with one block."""
    buildings, trees = np.zeros((2, 256, 256 + 2 * MARGIN), np.float32)
    buildings[top:bottom, left + MARGIN : right + MARGIN] = height
    return buildings, trees


def test_without_heights_everything_stays_where_it_is():
    sigma = np.random.default_rng(0).random((256, 256), np.float32)
    np.testing.assert_array_equal(project(np.random.default_rng(0), sigma, *block(0)), sigma)


def test_a_block_leans_towards_the_radar_and_casts_a_shadow_away_from_it():
    ground, height = np.full((256, 256), 0.1, np.float32), 40.0
    seen = project(np.random.default_rng(0), ground, *block(height))
    lean, shadow = (int(height * factor / module.PIXEL) for factor in (1 / module.TANGENT, module.TANGENT))
    assert (seen[:100] == ground[:100]).all() and (seen[120:] == ground[120:]).all()
    row = seen[110]
    assert (row[: 140 - lean - 2] == np.float32(0.1)).all()
    over = row[140 - lean + 1 : 139]
    assert (over > 0.101).all() and over.mean() > 0.3  # the front and the roof on the ground before it
    assert row.argmax() in (139, 140) and row.max() > 3 * np.sort(row)[-3]  # the foot
    assert (row[152 : 150 + shadow - 1] == 0).all() and (row[150 + shadow + 2 :] == np.float32(0.1)).all()
    higher = project(np.random.default_rng(0), ground, *block(2 * height))
    assert (higher[110] == 0).sum() > 1.5 * (seen[110] == 0).sum()


def test_a_wall_shines_most_where_it_faces_the_radar():
    dark = np.zeros((256, 256), np.float32)
    straight, _ = block(20)
    rows, columns = np.indices(straight.shape)
    across, along = columns - columns[0].mean(), rows - 128
    turned = np.where((abs(across + along) < 14) & (abs(across - along) < 14), np.float32(20), 0)
    power = []
    for heights in (straight, turned):
        walls = (np.diff(heights, axis=1, prepend=0) > 0).sum()
        power.append(project(np.random.default_rng(0), dark, heights, 0 * heights).sum() / walls)
    assert power[0] > 3 * power[1]


def test_what_comes_later_levels_what_it_covers():
    ground = module._Surveyed(generator(0, "test"))
    ground.fill(np.full(4, 0.2, np.float32))
    foot = np.array([[20, 20], [40, 20], [40, 40], [20, 40]])
    ground.canvas.shadow(foot, *(ground.cast * 5 * np.array(ground.sun)))
    ground.canvas.disc_shadow(100, 50, 6, ground.cast * 3, 0)
    ground.flush()
    assert ground.buildings.max() == pytest.approx(10) and ground.trees.max() == pytest.approx(6)
    assert np.argwhere(ground.buildings).mean(axis=0) == pytest.approx([30, 30 + MARGIN])
    assert np.argwhere(ground.trees).mean(axis=0) == pytest.approx([50, 100 + MARGIN])
    ground.blend((np.arange(256) > 60) * np.ones((256, 1), np.float32), np.zeros(4, np.float32))
    assert ground.buildings.max() == pytest.approx(10) and ground.trees.max() == 0 and ground.before[2].max() > 0


def test_speckle_is_gamma_of_the_looks():
    rng = np.random.default_rng(0)
    found = speckled(rng, np.full((256, 256), 2.0)) / 2
    assert found.mean() == pytest.approx(1, abs=0.01)
    assert found.var() == pytest.approx(1 / LOOKS, rel=0.03)
    skew = ((found - found.mean()) ** 3).mean() / found.std() ** 3
    assert skew == pytest.approx(2 / np.sqrt(LOOKS), rel=0.06)


def test_looks_are_means_of_four_by_four_pixels_above_the_noise():
    power = np.random.default_rng(0).random((256, 256), np.float32)
    assert multilook(power)[3, 5] == pytest.approx(power[12:16, 20:24].mean() + module.FLOOR)


# ---- stored ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def toy(monkeypatch):
    """A radar that is quick, in this process."""
    import cmir_ref.data.world as scenes

    def few(function, items, workers=2, progress=False):
        return (np.full((64, 64, 1), 100 * seed + 10 * item + label, np.uint16) for seed, item, label in items)

    monkeypatch.setattr(scenes, "generate", few)
    return SimpleNamespace(scenes=scenes, few=few)


def test_made_once_and_found_again(folder, toy, monkeypatch):
    made = cached_radar(3, seed=1)
    assert [p.name for p in folder.iterdir()] == ["radar-3-seed1-v1"]
    assert len({made, cached_radar(2, seed=1), cached_radar(3)}) == 3
    monkeypatch.setattr(toy.scenes, "generate", None)
    assert cached_radar(3, seed=1) == made


def test_whole_or_not_at_all(folder, toy, monkeypatch, refused):
    def fails(function, items, **_):
        yield from toy.few(function, items[:1])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as m:
        m.setattr(toy.scenes, "generate", fails)
        with refused("radar-2", "No space left"):
            cached_radar(2)
        assert list(folder.iterdir()) == []
    with refused("count 0"):
        cached_radar(0)
    assert [p.name for p in cached_radar(2).iterdir()] == ["radar.safetensors"]


def test_labels_ids_and_groups_are_those_of_pan_and_mul(folder):
    """The real world once: nine scenes of each sense."""
    found = load_radar(9, seed=4)
    pan, mul = load("pan-mul", None, dataset="scenes", count=9, seed=4).modalities.values()
    assert (found.name, found.kind, found.paths) == ("radar", "image", None)
    for other in (pan, mul):
        assert found.ids == other.ids
        np.testing.assert_array_equal(found.labels, other.labels)
        np.testing.assert_array_equal(found.groups, other.groups)
    np.testing.assert_array_equal(found.x, [radar(4, k, k % 8) for k in range(9)])
    assert load_radar(9, seed=4).x.tobytes() == found.x.tobytes()


def test_a_damaged_file_is_refused(folder, toy, refused):
    (cached_radar(2) / "radar.safetensors").write_bytes(b"?")
    with refused("radar.safetensors", "not a readable safetensors file"):
        load_radar(2)
