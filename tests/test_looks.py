"""How often `locate` looks at each slice of a scene: once, whatever the system and however the run looks at images."""

from functools import cache

import app_runs
import drawn_worlds
import numpy as np
import pytest
import worlds

from cmir_ref import runs
from cmir_ref.config import load_config
from cmir_ref.places import encode_slices
from cmir_ref.systems import SYSTEMS
from cmir_ref.training.inputs import Source

AVERAGED = {  # a run of each system that looks at an image in all directions, and its letter of images
    "cmirnet": lambda: (worlds.config("stage1.average_views=true", "stage1.epochs=1"), worlds.pictures()),
    "cmirnet end to end": lambda: (
        worlds.config("stage1.average_views=true", "stages=end-to-end", "stage2.epochs=1"),
        worlds.pictures(),
    ),
    "attention": lambda: (drawn_worlds.config("stage1.average_views=true", "stage1.epochs=1"), drawn_worlds.data()),
    "attention none": lambda: (
        drawn_worlds.config("stage1.average_views=true", "stage1.epochs=1", "attention=none"),
        drawn_worlds.data(),
    ),
    "amfmn": lambda: (load_config("image-text", [*app_runs.TEXTS, "average_views=true"]), worlds.captioned()),
}


@cache
def trained(name):
    settings, data = AVERAGED[name]()
    return runs.train(settings, data), data


@pytest.fixture
def looks(monkeypatch):
    """How many images were handed to a network since, each view of one counted."""
    count, inside = [0], []
    read, each_view = Source.read, Source.each_view

    def counted_read(source, index, *view):
        x = read(source, index, *view)
        count[0] += 0 if inside or source.kind not in ("image", "sketch") else len(x)
        return x

    def counted_views(source, index):
        inside.append(source)
        for x in each_view(source, index):
            count[0] += len(x) if source.kind in ("image", "sketch") else 0
            yield x
        inside.pop()

    monkeypatch.setattr(Source, "read", counted_read)
    monkeypatch.setattr(Source, "each_view", counted_views)
    return count


@pytest.mark.parametrize("name", AVERAGED)
def test_locate_looks_once_at_each_slice(name, looks):
    run, data = trained(name)
    pixels = data.modalities["a"].x
    scene = np.concatenate([np.concatenate(pixels[:3], axis=1), np.concatenate(pixels[3:6], axis=1)])
    looks[0] = 0
    slices = encode_slices(run, "a", scene, [pixels.shape[1], 32])
    assert looks[0] == len(slices.boxes) > 6
    (once,) = (n for n, box in enumerate(slices.boxes.tolist()) if box == [0, 0, pixels.shape[1]])
    looks[0] = 0
    turned = SYSTEMS[run.config.system].encode(run, "a", pixels[:1])["v"]
    assert looks[0] == 8, "a single image is still seen in all directions"
    assert not np.allclose(slices.encoded["v"][once], turned[0])


@pytest.mark.parametrize("name", AVERAGED)
def test_a_slice_is_stored_as_a_run_that_looks_once_would(name):
    run, data = trained(name)
    pixels = data.modalities["a"].x
    flat = run.config.model_dump() | {"average_views": False}
    if "stage1" in flat:
        flat.pop("average_views")
        flat["stage1"]["average_views"] = False
    once = run._replace(config=type(run.config).model_validate(flat))
    slices = encode_slices(run, "a", pixels[0], [pixels.shape[1]])
    expected = SYSTEMS[run.config.system].encode(once, "a", pixels[:1])["v"]
    np.testing.assert_allclose(slices.encoded["v"], expected, rtol=1e-5, atol=1e-6)
