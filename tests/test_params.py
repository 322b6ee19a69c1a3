import os

import numpy as np
import pytest

from cmir_ref.backend import generator
from cmir_ref.errors import InputError
from cmir_ref.params import (
    Params,
    add_prefix,
    below,
    bias,
    constant,
    dense,
    flatten,
    he,
    load_tensors,
    save_tensors,
)

ARRAYS = {"b.w": np.arange(6.0).reshape(2, 3), "a": np.array(7.0), "c": np.array([8.0, 9.0])}
TENSORS = {
    "w": np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3),
    "mean": np.array([1e-300, np.inf]),
    "step": np.array(12),
    "winner": np.array([[3]], np.uint8),
    "empty": np.zeros((0, 4), np.float32),
}


def test_arrays_are_views_into_one_vector():
    params = Params(ARRAYS)
    np.testing.assert_array_equal(params.flat, [0, 1, 2, 3, 4, 5, 7, 8, 9])
    assert list(params) == ["b.w", "a", "c"] and len(params) == 3
    for name, array in ARRAYS.items():
        assert np.shares_memory(params[name], params.flat) and not np.shares_memory(params[name], array)
        np.testing.assert_array_equal(params[name], array)
    params.flat[3] = -1
    params["c"][1] = -2
    assert params["b.w"][1, 0] == -1 and params.flat[8] == -2


def test_arrays_of_any_layout_and_none_at_all():
    fortran = np.asfortranarray(ARRAYS["b.w"])
    np.testing.assert_array_equal(Params({"w": fortran, "t": fortran.T})["w"], ARRAYS["b.w"])
    assert Params({}).flat.shape == (0,)
    assert Params({"w": np.ones(3, np.float32)}).flat.dtype == np.float32
    with pytest.raises(TypeError):
        Params(ARRAYS)["a"] = np.array(1.0)


def test_gradients_are_flattened_in_the_order_of_the_parameters():
    params = Params(ARRAYS)
    shuffled = {name: 10 * ARRAYS[name] for name in ("c", "a", "b.w")}
    np.testing.assert_array_equal(flatten(shuffled, params), 10 * params.flat)


@pytest.mark.parametrize("change", [{"typo": np.ones(2)}, {"c": None}])
def test_gradients_of_other_names_are_refused(change):
    grads = {k: v for k, v in (ARRAYS | change).items() if v is not None}
    with pytest.raises(ValueError, match=next(iter(change))):
        flatten(grads, Params(ARRAYS))


def test_initial_values():
    w = he(np.random.default_rng(0), (300, 200), fan_in=300)
    assert w.dtype == np.float32 and w.std() == pytest.approx(np.sqrt(2 / 300), rel=0.02) and abs(w.mean()) < 1e-3
    assert not bias(np.random.default_rng(0), 3).any()
    assert constant(2, 3).tolist() == [2, 2, 2] and constant(2, 3).dtype == np.float32
    assert bias(np.random.default_rng(0), 0, "xavier").shape == (0,)  # the answers of pairs without labels
    b = bias(np.random.default_rng(0), 5000, "xavier")
    limit = np.sqrt(3 / 5000)
    assert (
        b.dtype == np.float32
        and 0.98 * limit < np.abs(b).max() <= limit
        and b.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    )


def test_dense_layers_are_drawn_in_their_order_weights_before_biases():
    shapes = {"two": (3, 4), "one": (4, 2)}
    drawn = dense(shapes, np.random.default_rng(0), "xavier")
    rng = np.random.default_rng(0)
    expected = [he(rng, (3, 4), 3), bias(rng, 4, "xavier"), he(rng, (4, 2), 4), bias(rng, 2, "xavier")]
    assert list(drawn) == ["two.w", "two.b", "one.w", "one.b"]
    for ours, theirs in zip(drawn.values(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not dense(shapes, rng)["one.b"].any()


def test_names_below_a_prefix():
    arrays = {"latent.a.w": 1, "latent_b.w": 2, "latent/c": 3}
    assert below("latent", arrays) == {"a.w": 1}
    assert below("latent", arrays, "/") == {"c": 3}
    assert add_prefix("latent", {"a.w": 1}) == {"latent.a.w": 1}


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_tensors(path, TENSORS | {"t": TENSORS["w"].T}, {"epoch": "3", "name": "a·b"})
    tensors, metadata = load_tensors(path)
    assert metadata == {"epoch": "3", "name": "a·b"}
    assert tensors.keys() == TENSORS.keys() | {"t"}
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        np.testing.assert_array_equal(tensors[name], tensor)
    np.testing.assert_array_equal(tensors["t"], TENSORS["w"].T)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_crash_while_saving_leaves_the_last_whole_file(tmp_path, monkeypatch, step):
    path = tmp_path / "checkpoint.safetensors"
    save_tensors(path, {"x": np.ones(3)})

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, step, crash)
        save_tensors(path, {"x": np.zeros(3)})
    np.testing.assert_array_equal(load_tensors(path)[0]["x"], np.ones(3))
    save_tensors(path, {"x": np.zeros(3)})  # what the crash left behind is no obstacle
    np.testing.assert_array_equal(load_tensors(path)[0]["x"], np.zeros(3))


def test_the_name_is_given_only_to_what_is_on_the_disk(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: steps.append("fsync") or fsync(fd))
    monkeypatch.setattr(os, "replace", lambda a, b: steps.append("replace") or replace(a, b))
    save_tensors(tmp_path / "x.safetensors", {"x": np.ones(3)})
    assert steps == ["fsync", "replace"]


def test_a_truncated_file_is_refused_at_any_length(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_tensors(path, {"x": np.ones(3)}, {"epoch": "3"})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"checkpoint\.safetensors: not a readable"):
            load_tensors(path)


def test_other_files_are_refused_in_one_line(tmp_path):
    (tmp_path / "garbage").write_bytes(b"\x93NUMPY" + bytes(range(256)))
    for name, message in (("missing", "no such checkpoint"), ("garbage", "not a readable"), (".", "not a readable")):
        with pytest.raises(InputError, match=message) as caught:
            load_tensors(tmp_path / name)
        assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_random_numbers_depend_on_seed_purpose_and_counters_alone():
    draw = lambda *key: generator(*key).random(4).tolist()  # noqa: E731
    keys = [(0, "init"), (1, "init"), (0, "shuffle"), (0, "shuffle", 0), (0, "shuffle", 1), (0, "shuffle", 0, 1)]
    assert all(draw(*key) == draw(*key) for key in keys)
    assert len({tuple(draw(*key)) for key in keys}) >= len(keys) - 1  # NumPy ignores trailing zeros of a seed
    assert draw(0, "shuffle", 1) != draw(1, "shuffle", 0)
