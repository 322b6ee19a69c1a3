"""Twenty ways in which device arrays leak to the host, each planted in the package: the stand-in names every one.

A row is (rule, file, right text, wrong text, call); the call runs within `no_traffic` on the file's own functions, with
the right text and with the wrong one. Nothing outside of the row's namespace changes.
"""

import numpy as np
import pytest
from strict.standin import Refused, no_traffic, xp

import cmir_ref

ROOT = cmir_ref.__path__[0]
SQUARE = "energy = (x * x).sum()"
ORTHOGONAL = "soft_orthogonality(z)"
LEAKS = [
    ("host function", "ops/linear.py", "return x @ w + b,", "import numpy as np\n    return np.matmul(x, w) + b,",
     "linear(z, w, b)"),
    ("host function", "ops/frobenius.py", SQUARE, "import numpy as np\n    energy = np.sum(x * x)", "frobenius(z)"),
    ("host array", "ops/labels.py", "labels[:, None] == xp.arange(classes)",
     "labels[:, None] == __import__('numpy').arange(classes)", "multi_hot(y, 5)"),
    ("host array", "training/adam.py", "get_xp(v).sqrt(v) + epsilon",
     "get_xp(v).sqrt(v) + __import__('numpy').full(len(v), epsilon, v.dtype)", "adam(b, g, g.copy(), g * g, 1, 0.1)"),
    ("implicit transfer", "ops/conv.py", "padded = xp.zeros((n, h + k - 1, w + k - 1, c), dtype=x.dtype)",
     "import numpy as np\n    padded = np.zeros((n, h + k - 1, w + k - 1, c), dtype=x.dtype)", "im2col(image, 3)"),
    ("loop", "ops/sums.py", "return rows.sum(axis=0)\n    whole", "return sum(rows)\n    whole", "column_sum(z)"),
    ("loop", "cmirnet/eq3_classification.py", "hot_a, hot_b = multi_hot(y_a, classes)",
     "hot_a, hot_b = multi_hot(xp.stack([row for row in y_a]), classes)", "label_union(y, y, 5)"),
    ("no such parameter", "ops/frobenius.py", "xp.sqrt(energy)", "xp.sqrt(energy, where=energy > 0)",
     "frobenius(z, squared=False)"),
    ("no such parameter", "ops/softmax_cross_entropy.py", "u.real.max(axis=1, keepdims=True)",
     "u.real.max(axis=1, keepdims=True, initial=0)", "softmax_cross_entropy(z, y)"),
    ("no such name", "ops/frobenius.py", SQUARE, "energy = xp.vecdot(x.ravel(), x.ravel())", "frobenius(z)"),
    ("no such name", "ops/max_pool.py", "return y, MaxPoolCache", "return xp.block([y]), MaxPoolCache",
     "max_pool(image, 2)"),
    ("index", "ops/labels.py", "xp.arange(classes)", "xp.arange(labels.max() + 1)", "multi_hot(y, 5)"),
    ("host index", "cmirnet/latent.py", "return mlp(params", "z = z[list(range(len(z)))]\n    return mlp(params",
     "encoder({'encoder_a.1.w': w, 'encoder_a.1.b': b}, 'a', z, arch=Latent(encoder_depth=1))"),
    ("wait", "cmirnet/eq1_pretraining.py", "return ce + weight * o, ", "return float(ce) + weight * float(o), ",
     "pretraining_loss(z, z, y)"),
    ("wait", "cmirnet/eq7_regulariser.py", "gap = norm - alpha", "gap = norm.item() - alpha", "regulariser(w, 0.5)"),
    ("wait", "ops/frobenius.py", "if root is None:", "if root is None or root > 1e6:",
     "frobenius_backward(1.0, frobenius(z, squared=False)[1])"),
    ("wait", "ops/relu.py", "return xp.where(cache.positive, dy, 0)",
     "dx = 0 * dy\n    dx[cache.positive] = dy[cache.positive]\n    return dx", "relu_backward(z, relu(z)[1])"),
    ("upload", "cmirnet/eq1_pretraining.py", "excess = (z.T @ z) * scale - goal",
     "import numpy as np\n    excess = (z.T @ z) * scale - xp.asarray(np.eye(d, dtype=z.dtype))", ORTHOGONAL),
    ("device random", "ops/dropout.py", "return x * mask * (1",
     "from ..backend import get_xp\n    mask = get_xp(x).random.random(x.shape) > rate\n    return x * mask * (1",
     "dropout(z, z > 0, 0.5)"),
    ("implicit transfer", "ops/dropout.py", "return x * mask * (1",
     "import numpy as np\n    mask = np.random.default_rng(0).permutation(mask)\n    return x * mask * (1",
     "dropout(z, z > 0, 0.5)"),
]  # fmt: skip


def arrays():
    """Device arrays of a few shapes."""
    rng = np.random.default_rng(0)
    shapes = {"z": (6, 5), "w": (5, 4), "b": (4,), "g": (4,), "image": (2, 4, 4, 3)}
    found = {name: xp.asarray(rng.normal(size=shape).astype(np.float32)) for name, shape in shapes.items()}
    return found | {"y": xp.asarray(rng.integers(0, 5, 6))}


def run(file, text, call):
    """`call` on the functions of a file of the package that has `text`."""
    package = ".".join(["cmir_ref", *file.split("/")[:-1]])
    names = {"__name__": f"{package}.{file.split('/')[-1][:-3]}", "__package__": package} | arrays()
    exec(compile(text, file, "exec"), names)
    with no_traffic():
        return eval(call, names)


def test_twenty():
    assert len(LEAKS) == 20 == len({(file, wrong) for _, file, _, wrong, _ in LEAKS})


@pytest.mark.parametrize(
    ("rule", "file", "right", "wrong", "call"), LEAKS, ids=[f"{rule}-{file}" for rule, file, *_ in LEAKS]
)
def test_a_planted_leak_is_named(rule, file, right, wrong, call):
    with open(f"{ROOT}/{file}", encoding="utf-8") as source:
        text = source.read()
    assert text.count(right) == 1
    run(file, text, call)
    with pytest.raises(Refused) as caught:
        run(file, text.replace(right, wrong), call)
    assert caught.value.rule == rule
