"""A network of the user's own, as an ONNX file, run by onnxruntime (extra `onnx`): VGG-16's fc7, ResNet-50, …"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import check_readable
from .trunk import FeatureNetwork, resize_image

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of bytes, as PyTorch's networks
INSTALL = "pip install 'cmir-ref[onnx]'"


def onnx_network(
    path: str | Path,
    output: str | None = None,
    *,
    size: int | None = None,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> FeatureNetwork:
    """The network of the file for RGB images brought to its own input size, or to `size` where it leaves that open.

    x is (bytes − mean)/std, band by band. `output` names any value of the graph, its first output unless told; what
    comes out is one row an image, (n, …) -> (n, D). Raises `InputError` where onnxruntime is missing, and for a file
    that is no such network, an output that it does not have, and a size that it does not take.
    """
    if len(mean) not in (1, 3) or len(std) not in (1, 3) or min(std) <= 0:
        raise InputError("mean and std are one number or three, for red, green and blue, and std is above 0")
    session, digest = _open(path, output)
    (given, *more) = session.get_inputs()
    shape = given.shape
    bands = [axis for axis in (1, 3) if len(shape) == 4 and shape[axis] == 3]
    if more or not bands or given.type != "tensor(float)":
        raise InputError(f"{path}: takes {given.type} {shape}; one input of float images (N, 3, H, W) is needed")
    first = bands[0] == 1
    side = _side(path, [n for axis, n in enumerate(shape) if axis not in (0, bands[0])], size)
    name = output or session.get_outputs()[0].name
    fixed = shape[0] if isinstance(shape[0], int) else None
    middle, spread = np.array(mean, np.float32), np.array(std, np.float32)

    def prepare(image):
        x = (resize_image(image, side) - middle) / spread
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2) if first else x, dtype=np.float32)

    def features(x):
        step = fixed or len(x)
        parts = []
        for start in range(0, len(x), step):
            block = x[start : start + step]
            padded = np.concatenate([block, np.repeat(block[:1], step - len(block), axis=0)])
            y = np.asarray(session.run([name], {given.name: padded})[0], dtype=np.float32)
            if y.ndim < 2 or len(y) != step:
                raise InputError(f"{path}: output {name} is {y.shape} for {step} images; a row for each is needed")
            parts.append(y.reshape(step, -1)[: len(block)])
        return np.concatenate(parts)

    maker = f"onnx {digest} {name}, (x - {tuple(mean)})/{tuple(std)} at {side}"
    return FeatureNetwork(maker, prepare, features)


def _open(path: str | Path, output: str | None) -> tuple[Any, str]:
    """(onnxruntime's session, digest of the file), in which `output` is one of the outputs."""
    try:
        import onnx
        import onnxruntime
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed, which runs ONNX files: {INSTALL}") from error
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; --onnx names a network as an ONNX file")
    check_readable(path)
    content = Path(path).read_bytes()
    try:
        model = onnx.load(str(path))
        values = {name for node in model.graph.node for name in node.output}
        known = [value.name for value in model.graph.output]
        if output is not None and output not in known:
            if output not in values:
                raise InputError(f"{path}: no value {output!r} in it; its outputs are {', '.join(known)}")
            model.graph.output.append(onnx.ValueInfoProto(name=output))
            content = model.SerializeToString()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
        return session, hashlib.sha256(content).hexdigest()
    except InputError:
        raise
    except Exception as error:  # protobuf and onnxruntime have many kinds of their own
        raise InputError(f"{path}: not an ONNX network that onnxruntime takes ({type(error).__name__})") from error


def _side(path: str | Path, sides: list, size: int | None) -> int:
    """The side of the square images that the network takes."""
    fixed = {n for n in sides if isinstance(n, int)}
    if len(fixed) > 1:
        raise InputError(f"{path}: takes images of {sides[0]} × {sides[1]}; only square ones are made")
    if fixed and size not in (None, *fixed):
        raise InputError(f"{path}: takes images of {fixed.pop()} pixels a side, not {size}; leave --size out")
    return fixed.pop() if fixed else size or 224
