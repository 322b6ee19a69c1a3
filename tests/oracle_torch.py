"""Every checked function a second time, from the equations, in PyTorch and with its autograd: the oracle.

`TWINS[covers](s, x)`: `s` has the settings of a declaration (readings, masks, labels, statistics), `x` its named inputs
as float64 tensors; the answer is a tensor or a tuple of them. Images come as NHWC and kernels as (k, k, C, D), the
layout of the project; everything else is PyTorch's own.
"""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from golden.stored import settings

from cmir_ref import checks

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def tensor(value):
    """An array as a tensor: numbers as float64, labels as int64, masks as they are."""
    value = torch.as_tensor(np.ascontiguousarray(value).reshape(np.shape(value)))
    return value.double() if value.is_floating_point() else value if value.dtype == torch.bool else value.long()


def each(x):
    """Tensors for the arrays of a dict or a tuple."""
    return {k: tensor(v) for k, v in x.items()} if isinstance(x, dict) else tuple(map(tensor, x))


# ---- operations -----------------------------------------------------------------------------------------------------


def linear(x, w, b):
    return F.linear(x, w.T, b)


def conv(x, w, b):
    kernel = w.permute(3, 2, 0, 1).contiguous()  # PyTorch refuses some others of one channel
    return F.conv2d(x.permute(0, 3, 1, 2), kernel, b, padding="same").permute(0, 2, 3, 1)


def strided_conv(x, w, stride, padding):
    """F.pad counts left, right, top, bottom."""
    top, bottom, left, right = padding
    padded = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    return F.conv2d(padded, w.permute(3, 2, 0, 1), stride=stride).permute(0, 2, 3, 1)


def depthwise_conv(x, w, stride, padding):
    top, bottom, left, right = padding
    padded = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    kernel = w.permute(2, 0, 1)[:, None]
    return F.conv2d(padded, kernel, stride=stride, groups=len(kernel)).permute(0, 2, 3, 1)


def max_pool(x, factor):
    return F.max_pool2d(x.permute(0, 3, 1, 2), factor).permute(0, 2, 3, 1)


def batch_norm(x, gamma, beta, mean, var, mode):
    """TensorFlow's ε = 1e-3, so that the frozen mode is γx/√1.001 + β."""
    columns = x.reshape(-1, x.shape[-1])
    if mode == "frozen":
        mean, var = torch.zeros_like(gamma), torch.ones_like(gamma)
    given = (None, None) if mode == "train" else (mean, var)
    return F.batch_norm(columns, *given, gamma, beta, training=mode == "train", eps=1e-3).reshape(x.shape)


def act_norm(x, gamma, beta, mean, var, mode, slope=0.01):
    return batch_norm(F.leaky_relu(x, slope), gamma, beta, mean, var, mode)


def dropout(x, mask, rate):
    return torch.where(mask, x / (1 - rate), 0)


def hot(y, classes):
    return F.one_hot(y, classes).double() if y.ndim == 1 else y.double()


def row_losses(u, y, kind):
    """Cross entropy of each sample; a multi-hot row is spread evenly, or K yes/no questions whose mean is taken."""
    if kind == "sigmoid":
        return F.binary_cross_entropy_with_logits(u, hot(y, u.shape[1]), reduction="none").mean(1)
    if y.ndim == 2:
        y = y / y.sum(1, keepdim=True).clamp(min=1)
    return F.cross_entropy(u, y, reduction="none")


def cross_entropy(kind):
    def twin(s, x):
        rows = row_losses(x["u"], tensor(s.targets), kind)
        questions = x["u"].shape[1] if kind == "sigmoid" else 1
        return rows.sum() * questions if s.reduction == "sum" else rows.mean()

    return twin


def frobenius(x, squared=True, reduction="sum"):
    value = x.square().sum() if squared else torch.linalg.norm(x)
    return value / len(x) if reduction == "mean" else value


def upsample(x, factor, kind):
    settings = {"mode": "nearest"} if kind == "nearest" else {"mode": "bilinear", "align_corners": False}
    return F.interpolate(x.permute(0, 3, 1, 2), scale_factor=factor, **settings).permute(0, 2, 3, 1)


def unit_rows(x):
    """0 at 0, and so is its gradient: there is no direction there."""
    length = torch.linalg.norm(x, dim=-1, keepdim=True)
    return torch.where(length > 0, x / torch.where(length > 0, length, 1), 0)


def time_mean(x, lengths):
    return torch.stack([row[:n].sum(0) / max(int(n), 1) for row, n in zip(x, lengths, strict=True)] or [x.sum(1)])


def gru_cell(x, h, w, u, b, reset):
    """PyTorch's own cell; the other reading from its formula."""
    if reset == "after":
        return torch.gru_cell(x, h, w.T, u.T, b, torch.zeros_like(b))
    d = h.shape[1]
    r, z = (torch.sigmoid(x @ w[:, i] + b[i] + h @ u[:, i]) for i in (slice(d), slice(d, 2 * d)))
    n = torch.tanh(x @ w[:, 2 * d :] + b[2 * d :] + (r * h) @ u[:, 2 * d :])
    return (1 - z) * n + z * h


def gru(x, lengths, w, u, b, reset, reverse):
    """Each sequence by itself, without its padding; behind its end the last state, in reverse the first one."""
    rows = []
    for row, n in zip(x, lengths.tolist(), strict=True):
        h, states = x.new_zeros(1, len(u)), {}
        for t in reversed(range(n)) if reverse else range(n):
            h = states[t] = gru_cell(row[t : t + 1], h, w, u, b, reset)
        beyond = torch.zeros_like(h) if reverse else h
        rows.append(torch.cat([states.get(t, beyond) for t in range(x.shape[1])]))
    none = 0 * u[0, 0]  # where no sequence has a step, the states depend on nothing
    return (torch.stack(rows) if rows else x.new_zeros(*x.shape[:2], len(u))) + none


# ---- equations 1 to 7 -----------------------------------------------------------------------------------------------


def orthogonality(z, target, scaled):
    """‖ZᵀZ − T‖²_F, T = I or 11ᵀ."""
    gram = z.T @ z / (len(z) if scaled else 1)
    return frobenius(gram - (torch.eye(z.shape[1]) if target == "identity" else torch.ones(z.shape[1], z.shape[1])))


def eq1(logits, z, y, kind, weight=1.0, target="identity", scaled=False):
    terms = {"ce": row_losses(logits, y, kind).mean()}
    if target != "off" and weight:
        terms["orthogonality"] = orthogonality(z, target, scaled)
    return terms["ce"] + weight * terms.get("orthogonality", 0), terms


def eq2(v_a, v_b, squared, reduction):
    return frobenius(v_a - v_b, squared, reduction)


def eq3(u_a, u_b, y_a, y_b, classifier, kinds):
    """V_ab stacked, the mean over all its rows; joined, a pair having the labels of both; or one head each."""
    if classifier == "concatenated":
        k = u_a.shape[1]
        return row_losses(u_a, torch.maximum(hot(y_a, k), hot(y_b, k)), kinds[0]).mean()
    a, b = row_losses(u_a, y_a, kinds[0]), row_losses(u_b, y_b, kinds[1])
    return torch.cat([a, b]).mean() if classifier == "shared" else a.mean() + b.mean()


def eq4(v_a, v_b, reduction):
    return frobenius(v_a, reduction=reduction) + frobenius(v_b, reduction=reduction)


def contrastive(v_a, v_b, temperature, reduction):
    s = F.normalize(v_a) @ F.normalize(v_b).T / temperature
    own = torch.arange(len(s))
    return (F.cross_entropy(s, own, reduction=reduction) + F.cross_entropy(s.T, own, reduction=reduction)) / 2


def eq5(from_a, from_b, z_a, z_b, target, squared, reduction):
    if target == "cross":
        z_a, z_b = z_b, z_a
    return frobenius(from_a - z_a, squared, reduction) + frobenius(from_b - z_b, squared, reduction)


def eq6(out, z, y, regularised, decayed, weights, readings):
    """λ₁L₂ + λ₂L₃ + λ₃L₄ + λ₄L₅ + λ₅R + the decay; with its terms, those of weight 0 left out."""
    r, (v_a, v_b, u_a, u_b, from_a, from_b) = readings, out
    squared = r.frobenius == "squared"
    targets = z if r.target_gradient == "flow" else tuple(z_m.detach() for z_m in z)
    terms = {
        "alignment": (weights.alignment, eq2(v_a, v_b, squared, r.reduction)),
        "classification": (weights.classification, eq3(u_a, u_b, *y, r.classifier, r.label_losses)),
        "feature_norm": (weights.feature_norm, eq4(v_a, v_b, r.reduction)),
        "reconstruction": (
            weights.reconstruction,
            eq5(from_a, from_b, *targets, r.decoder_target, squared, r.reduction),
        ),
        "regulariser": (weights.regulariser, sum(eq7(w, r.alpha, r.alpha_reading) for w in regularised)),
        "head_decay": (r.head_decay, sum(w.square().sum() for w in decayed)),
    }
    terms = {name: pair for name, pair in terms.items() if pair[0]}
    return sum(weight * value for weight, value in terms.values()), {name: value for name, (_, value) in terms.items()}


def eq7(w, alpha, reading):
    if reading == "elementwise":
        return (w - alpha).square().sum()
    gap = torch.linalg.norm(w) - alpha
    return gap.square() if reading == "norm" else gap.abs()


# ---- comparators ----------------------------------------------------------------------------------------------------


def likelihood(f, g, similar):
    """Σ of the cross entropies of S and σ(½ F Gᵀ)."""
    return F.binary_cross_entropy_with_logits(f @ g.T / 2, similar.double(), reduction="sum")


def dcmh(f, g, similar, b_f, b_g, gamma, eta, rest_f=None, rest_g=None):
    loss = likelihood(f, g, similar)
    for out, b, rest in ((f, b_f, rest_f), (g, b_g, rest_g)):
        total = out.sum(0) if rest is None else out.sum(0) + rest
        loss = loss + gamma * (b - out).square().sum() + eta * total.square().sum()
    return loss


def sidhcnn(f, g, similar, b, mu, gamma, eta):
    return dcmh(f, g, similar, b, b, gamma, eta) + mu * (likelihood(f, f, similar) + likelihood(g, g, similar))


# ---- networks -------------------------------------------------------------------------------------------------------


def under(prefix, x):
    return {name.removeprefix(prefix + "."): value for name, value in x.items() if name.startswith(prefix + ".")}


def layer(p, name, x):
    return linear(x, p[f"{name}.w"], p[f"{name}.b"])


def mlp(p, name, x, activation="relu"):
    depth = len(under(name, p)) // 2
    for i in range(1, depth + 1):
        x = layer(p, f"{name}.{i}", x)
        if activation == "relu" or (activation == "hidden" and i < depth):
            x = F.relu(x)
    return x


def head(p, h, mask, rate):
    s = layer(p, "fc", h)
    z = F.relu(s)
    return layer(p, "classifier", z if mask is None else dropout(z, mask, rate)), z, s


def conv_block(x, w, b, gamma, beta, mean, var, pool, order, mode, slope):
    step = {
        "conv": lambda x: conv(x, w, b),
        "pool": lambda x: max_pool(x, pool),
        "act": lambda x: F.leaky_relu(x, slope),
        "norm": lambda x: batch_norm(x, gamma, beta, mean, var, mode),
    }
    for name in order.split("-"):
        x = step[name](x)
    return x


def conv_pretrainer(p, x, arch, mode, buffers, mask):
    norm_mode = "frozen" if arch.batch_norm == "frozen" else mode
    for i, factor in enumerate(arch.pools, start=1):
        weights = p[f"conv.{i}.w"], p[f"conv.{i}.b"], p[f"norm.{i}.gamma"], p[f"norm.{i}.beta"]
        running = buffers.get(f"norm.{i}.mean"), buffers.get(f"norm.{i}.var")
        x = conv_block(x, *weights, *running, factor, arch.block_order, norm_mode, arch.slope)
    return head(p, x.flatten(1), mask if mode == "train" else None, arch.dropout)


def lite_layer(p, buffers, x, name, mode, stride=1, active=True):
    """BN(conv(x)), with TensorFlow's padding, and ReLU6 of it."""
    w = p[f"{name}.w"]
    sides = []
    for size in x.shape[1:3]:
        zeros = max((-(-size // stride) - 1) * stride + len(w) - size, 0)
        sides += [zeros // 2, zeros - zeros // 2]
    y = (depthwise_conv if w.ndim == 3 else strided_conv)(x, w, stride, sides)
    running = buffers.get(f"{name}.mean"), buffers.get(f"{name}.var")
    y = batch_norm(y, p[f"{name}.gamma"], p[f"{name}.beta"], *running, mode)
    return F.relu6(y) if active else y


def efficientnet_lite(p, x, arch, mode, buffers, first=0):
    """The maps before each change of size, the last one, and the mean of the head's channels."""
    h, maps, number = x if first else lite_layer(p, buffers, x, "stem", mode, 2), [], 0
    for stage in arch.stages:
        for stride in (stage.stride, *[1] * (stage.repeats - 1)):
            if number >= first:
                if stride == 2:
                    maps += [h] if number > first else []
                name, y = f"block.{number}", h
                if f"{name}.expand.w" in p:
                    y = lite_layer(p, buffers, y, f"{name}.expand", mode)
                y = lite_layer(p, buffers, y, f"{name}.depthwise", mode, stride)
                y = lite_layer(p, buffers, y, f"{name}.project", mode, active=False)
                h = y + h if y.shape == h.shape and stride == 1 else y
            number += 1
    return *maps, h, lite_layer(p, buffers, h, "head", mode).mean((1, 2))


def trunk_pretrainer(p, x, arch, buffers, mask):
    own, fixed = under("trunk", p), under("trunk", buffers)
    pooled = efficientnet_lite(own, x, arch.trunk, arch.batch_norm, fixed, arch.first)[-1]
    return head(p, pooled, mask, arch.dropout)


def pretrainer(p, x, arch, mode="train", buffers=None, mask=None):
    """(logits, z, s) of images, of maps or of vectors."""
    if hasattr(arch, "trunk"):
        return trunk_pretrainer(p, x, arch, buffers, mask)
    if x.ndim == 4:
        return conv_pretrainer(p, x, arch, mode, buffers or {}, mask)
    return head(p, mlp(p, "hidden", x), mask if mode == "train" else None, arch.dropout)


def latent_network(p, z, arch, masks):
    """(v_a, v_b, u_a, u_b, from_a, from_b)."""
    v = []
    for m, z_m in zip("ab", z, strict=True):
        v_m = mlp(p, f"encoder_{m}", z_m, arch.encoder_activation)
        v.append(dropout(v_m, masks[m], arch.dropout) if arch.latent_dropout in (m, "both") else v_m)
    if arch.classifier == "concatenated":
        u = layer(p, "classifier", torch.cat(v, dim=1)), None
    else:
        names = ("classifier_a", "classifier_b") if arch.classifier == "separate" else ("classifier",) * 2
        u = tuple(layer(p, name, v_m) for name, v_m in zip(names, v, strict=True))
    decoded = (mlp(p, f"decoder_{mn}", v_m, arch.decoder_activation) for mn, v_m in zip(("ab", "ba"), v, strict=True))
    return *v, *u, *decoded


def objective(p, z, y, arch, weights, readings, layers="all", masks=None, contrast=None):
    regularised = [
        w
        for name, w in p.items()
        if name.startswith("encoder") and name.endswith(".w")
        if layers == "all" or name.split(".")[1] == str(arch.encoder_depth)
    ]
    heads = [w for name, w in p.items() if name.startswith(("classifier", "decoder")) and name.endswith(".w")]
    out = latent_network(p, z, arch, masks)
    loss, terms = eq6(out, z, y, regularised, heads, weights, readings)
    if contrast and contrast.weight:
        terms["contrastive"] = contrastive(*out[:2], contrast.temperature, "mean")
        loss = loss + contrast.weight * terms["contrastive"]
    return loss, terms


def many_objective(p, z, y, arch, weights, readings, layers, masks):
    """Σ of eq. 6 over pairs of modalities a, b, c; everything that one modality has is computed once."""
    v, u = {}, {}
    for m, z_m in z.items():
        v[m] = mlp(p, f"encoder_{m}", z_m, arch.encoder_activation)
        v[m] = dropout(v[m], masks[m], arch.dropout) if arch.latent_dropout == "both" else v[m]
        u[m] = layer(p, "classifier", v[m])
    loss = 0
    for m, o in itertools.combinations(z, 2):
        there, back = (f"decoder_{m}{o}", f"decoder_{o}{m}")
        from_m, from_o = (mlp(p, name, v_m, arch.decoder_activation) for name, v_m in ((there, v[m]), (back, v[o])))
        encoders = [range(1, arch.encoder_depth + 1), [arch.encoder_depth]][layers == "last"]
        regularised = [p[f"encoder_{name}.{i}.w"] for name in (m, o) for i in encoders]
        heads = [p["classifier.w"]]
        heads += [p[f"{name}.{i + 1}.w"] for name in (there, back) for i in range(arch.decoder_depth)]
        out = (v[m], v[o], u[m], u[o], from_m, from_o)
        loss = loss + eq6(out, (z[m], z[o]), (y, y), regularised, heads, weights, readings)[0]
    return loss


def pretraining_objective(p, x, y, arch, mask, kind, before_relu, buffers=None, **reading):
    logits, z, s = pretrainer(p, x, arch, buffers=buffers, mask=mask)
    return eq1(logits, s if before_relu else z, y, kind, **reading)


def end_to_end(p, x, y, fronts, masks, **settings):
    z = tuple(
        x_m if front is None else pretrainer(under(name, p), x_m, front.arch, mask=masks[name])[1]
        for name, front, x_m in zip(("front_a", "front_b"), fronts, x, strict=True)
    )
    return objective(under("latent", p), z, y, masks=masks, **settings)


# ---- attention ------------------------------------------------------------------------------------------------------


def softmax_attention(q, k, v, mask=None):
    logits = torch.einsum("nmd,npd->nmp", q, k) / q.shape[2] ** 0.5
    if mask is None:
        return torch.softmax(logits, dim=2) @ v
    mask = mask.expand_as(logits)
    return (torch.softmax(logits.masked_fill(~mask, -1e30), dim=2) * mask) @ v  # a row that sees nothing is zero


def channel_gate(x, s, w, b, residual=True):
    return x * (residual + torch.sigmoid(F.linear(s, w.T, b)))


def spatial_mask(x, y, w, b, residual=True):
    return x * (residual + torch.sigmoid(F.linear(y, w.T, b)))


def cross_attention(x, y, w_q, w_k, w_v):
    return x + softmax_attention(x @ w_q, y @ w_k, y @ w_v)


def attend(p, x_a, x_b, context, form, heads):
    features = lambda m, x: F.relu(layer(heads, f"{m}.1", x.flatten(1)))  # noqa: E731
    if form.kind == "none":
        return x_a, x_b
    if form.kind == "spatial":
        return features("a", cross_attention(x_a, context, p["gate.q"], p["gate.k"], p["gate.v"])), x_b
    gate = p["gate.w"], p["gate.b"], form.residual
    if form.kind == "mask":
        return features("a", spatial_mask(x_a, context, *gate)), features("b", spatial_mask(x_b, x_b, *gate))
    return channel_gate(x_a, x_a if form.kind == "self" else context, *gate), x_b


def attended_objective(p, batch, y, form, heads, rate, masks, **settings):
    z = attend(p, *batch, form, heads)
    if rate:
        z = tuple(dropout(z_m, masks[f"z_{m}"], rate) for z_m, m in zip(z, "ab", strict=True))
    latent = {name: w for name, w in p.items() if not name.startswith("gate.")}
    return objective(latent, z, y, masks=masks, **settings)  # the loss and its terms


# ---- the table ------------------------------------------------------------------------------------------------------


def three_norms(x, y, w, kind):
    """The three terms of checks/ops.py, α = 0, 0.7 and 0.7."""

    def value(difference, alpha):
        r = torch.linalg.vector_norm(difference)
        return {"square": r**2, "root": r, "gap-square": (r - alpha) ** 2, "gap-size": (r - alpha).abs()}[kind]

    return 1.3 * 0.5 * value(x - y, 0.0) + 0.6 * value(w - 0.3, 0.7) + 0.6 * 2 * value(w - 0.1, 0.7)


def _eq3(s, x):
    y = tensor(s.y_a), tensor(s.y_b)
    if "u" in x:  # logits of pairs
        return eq3(x["u"], None, *y, "concatenated", ("softmax", "softmax"))
    return eq3(x["u_a"], x["u_b"], *y, s.classifier, s.kinds)


def _eq6(s, x):
    *out, z_a, z_b, w, head = x.values()
    return eq6(out, (z_a, z_b), each(s.y), [w], [head], s.WEIGHTS, s.readings)[0]


def _end_to_end(s, x):
    readings = checks.cmirnet.EQ6_READINGS["default"]._replace(target_gradient="flow")
    settings = {"arch": s.arch, "weights": s.WEIGHTS, "readings": readings, "masks": each(s.masks)}
    return end_to_end(x, each(s.x), each(s.y), s.fronts, **settings)[0]


def _attended(s, x):
    return tuple(x[name] for name in ("x_a", "x_b", "context")), None if s.heads is None else each(s.heads)


def _attend(s, x):
    batch, heads = _attended(s, x)
    return attend(x, *batch, s.form, heads)


def _attended_objective(s, x):
    batch, heads = _attended(s, x)
    p = {name: w for name, w in x.items() if name not in ("x_a", "x_b", "context")}
    settings = {"arch": s.arch, "weights": s.weights, "readings": s.readings}
    return attended_objective(p, batch, each(s.y), s.form, heads, s.dropout, each(s.masks), **settings)[0]


def _class_scores(s, x):
    params, heads, given = each(s.params), each(s.heads), x["x"]
    if s.form.kind not in ("spatial", "mask"):
        given = F.relu(layer(heads, f"{s.m}.1", given.flatten(1)))
        given = F.normalize(given - tensor(s.shift)) * given.shape[1] ** 0.5 if s.unit else given
    some = [given] if s.contexts is None else [tensor(s.contexts[[i] * len(given)]) for i in range(len(s.contexts))]
    z = given
    if s.form.kind != "none":
        z = sum(attend(params, given, given, one, s.form, heads)["ab".index(s.m)] for one in some) / len(some)
    return layer(params, "classifier", mlp(params, f"encoder_{s.m}", z * tensor(s.factor), s.arch.encoder_activation))


TWINS = {
    "attention.grad_cam.class_scores": _class_scores,
    "ops.sigmoid.sigmoid": lambda s, x: torch.sigmoid(x["x"]),
    "ops.softmax_attention.softmax_attention": lambda s, x: softmax_attention(
        **x, mask=None if s.mask is None else tensor(s.mask)
    ),
    "attention.gate.channel_gate": lambda s, x: channel_gate(**x, residual=s.residual),
    "attention.gate.spatial_mask": lambda s, x: spatial_mask(**x, residual=s.residual),
    "attention.cross_attention.cross_attention": lambda s, x: cross_attention(**x),
    "attention.objective.attend": _attend,
    "attention.objective.attended_objective": _attended_objective,
    "ops.linear.linear": lambda s, x: linear(**x),
    "ops.relu.relu": lambda s, x: F.relu(x["x"]),
    "ops.relu.leaky_relu": lambda s, x: F.leaky_relu(x["x"], s.slope),
    "ops.relu.relu6": lambda s, x: F.relu6(x["x"]),
    "ops.strided_conv.strided_conv": lambda s, x: strided_conv(**x, stride=s.stride, padding=s.padding),
    "ops.depthwise_conv.depthwise_conv": lambda s, x: depthwise_conv(**x, stride=s.stride, padding=s.padding),
    "ops.fused.depthwise_by_lines.depthwise_by_lines": lambda s, x: depthwise_conv(
        **x, stride=s.stride, padding=s.padding
    ),
    "ops.global_mean.global_mean": lambda s, x: x["x"].mean((1, 2)),
    "ops.conv.conv": lambda s, x: conv(**x),
    "ops.max_pool.max_pool": lambda s, x: max_pool(x["x"], s.factor),
    "ops.fused.conv_max_pool.conv_max_pool": lambda s, x: max_pool(conv(**x), s.factor),
    "ops.batch_norm.batch_norm": lambda s, x: batch_norm(**x, mean=tensor(s.mean), var=tensor(s.var), mode=s.mode),
    "ops.fused.act_norm.act_norm": lambda s, x: act_norm(**x, mean=tensor(s.mean), var=tensor(s.var), mode=s.mode),
    "ops.fused.conv_act_norm_pool.conv_act_norm_pool": lambda s, x: max_pool(
        act_norm(
            conv(x["x"], x["w"], x["b"]), x["gamma"], x["beta"], tensor(s.mean), tensor(s.var), s.mode, slope=s.slope
        ),
        s.factor,
    ),
    "ops.fused.dense_layer.dense_layer": lambda s, x: F.relu(linear(**x)) if s.active else linear(**x),
    "ops.fused.on_device.conv_on_device": lambda s, x: conv(**x),
    "ops.fused.on_device.max_pool_on_device": lambda s, x: max_pool(x["x"], s.factor),
    "ops.fused.softmax_rows.softmax_rows": cross_entropy("softmax"),
    "ops.fused.norm_terms.norm_terms": lambda s, x: three_norms(**x, kind=s.kind),
    "ops.dropout.dropout": lambda s, x: dropout(x["x"], tensor(s.mask), s.rate),
    "ops.softmax_cross_entropy.softmax_cross_entropy": cross_entropy("softmax"),
    "ops.sigmoid_cross_entropy.sigmoid_cross_entropy": cross_entropy("sigmoid"),
    "ops.cross_entropy.cross_entropy": lambda s, x: row_losses(x["u"], tensor(s.targets), s.kind).mean(),
    "ops.frobenius.frobenius": lambda s, x: frobenius(x["x"], s.squared, s.reduction),
    "ops.prelu.prelu": lambda s, x: F.prelu(x["x"], x["slope"]),
    "ops.tanh.tanh": lambda s, x: torch.tanh(x["x"]),
    "ops.upsample.upsample": lambda s, x: upsample(x["x"], s.factor, s.kind),
    "ops.unit_rows.unit_rows": lambda s, x: unit_rows(x["x"]),
    "ops.cosine.cosine": lambda s, x: unit_rows(x["v"]) @ unit_rows(x["t"]).T,
    "ops.embedding.embedding": lambda s, x: F.embedding(
        tensor(s.numbers), torch.cat([torch.zeros_like(x["table"][:1]), x["table"][1:]])
    ),
    "ops.time_mean.time_mean": lambda s, x: time_mean(x["x"], tensor(s.lengths)),
    "ops.gru_cell.gru_cell": lambda s, x: gru_cell(**x, reset=s.reset),
    "ops.gru.gru": lambda s, x: gru(**x, lengths=tensor(s.lengths), reset=s.reset, reverse=s.reverse),
    **dict.fromkeys(
        ("ops.fused.gru_by_length.gru_by_length", "ops.fused.gru_on_device.gru_on_device"),
        lambda s, x: gru(**x, lengths=tensor(s.lengths), reset=s.reset, reverse=s.reverse),
    ),
    "cmirnet.eq1_pretraining.soft_orthogonality": lambda s, x: orthogonality(x["z"], s.target, s.scaled),
    "cmirnet.eq1_pretraining.pretraining_loss": lambda s, x: eq1(
        **x, y=tensor(s.labels), kind=s.kind, weight=s.weight, target=s.target, scaled=s.scaled
    )[0],
    "cmirnet.eq2_alignment.alignment": lambda s, x: eq2(**x, squared=s.squared, reduction=s.reduction),
    "cmirnet.eq3_classification.classification": _eq3,
    "cmirnet.eq4_feature_norm.feature_norm": lambda s, x: eq4(**x, reduction=s.reduction),
    "cmirnet.contrastive.contrastive": lambda s, x: contrastive(**x, temperature=s.temperature, reduction=s.reduction),
    "cmirnet.eq5_reconstruction.reconstruction": lambda s, x: eq5(
        **x, target=s.target, squared=s.squared, reduction=s.reduction
    ),
    "cmirnet.eq6_total.total": _eq6,
    "cmirnet.fused_total.fused_total": _eq6,
    "cmirnet.eq7_regulariser.regulariser": lambda s, x: eq7(x["w"], s.alpha, s.reading),
    "hashing.dcmh.likelihood": lambda s, x: likelihood(**x, similar=tensor(s.similar)),
    "hashing.dcmh.dcmh": lambda s, x: dcmh(
        **x,
        **{name: tensor(getattr(s, name)) for name in ("similar", "b_f", "b_g")},
        **{name: None if (r := getattr(s, name)) is None else tensor(r) for name in ("rest_f", "rest_g")},
        gamma=s.gamma,
        eta=s.eta,
    ),
    "hashing.sidhcnn.sidhcnn": lambda s, x: sidhcnn(
        **x, similar=tensor(s.similar), b=tensor(s.b), mu=s.mu, gamma=s.gamma, eta=s.eta
    ),
    "nets.mlp.mlp": lambda s, x: mlp(x, "m", x["x"], s.activation),
    "nets.head.head": lambda s, x: head(x, x["h"], tensor(s.mask), 0.5),
    "nets.feature_pretrainer.feature_pretrainer": lambda s, x: pretrainer(x, x["x"], s.arch, mask=tensor(s.masks["z"])),
    "nets.conv_block.conv_block": lambda s, x: conv_block(
        **x, mean=tensor(s.mean), var=tensor(s.var), pool=s.pool, order=s.order, mode=s.mode, slope=s.slope
    ),
    "nets.conv_pretrainer.conv_pretrainer": lambda s, x: pretrainer(
        x, x["x"], s.arch, s.mode, each(s.buffers), tensor(s.masks["z"])
    ),
    "nets.efficientnet_lite.efficientnet_lite": lambda s, x: efficientnet_lite(
        x, x["x"], s.arch, s.mode, each(s.buffers), s.first
    ),
    "nets.trunk_pretrainer.trunk_pretrainer": lambda s, x: trunk_pretrainer(
        x, tensor(s.x), s.arch, each(s.buffers), tensor(s.masks["z"])
    ),
    "cmirnet.pretraining_objective.pretraining_objective": lambda s, x: pretraining_objective(
        x, x["x"], tensor(s.y), s.network.arch, tensor(s.masks["z"]), **s.reading
    )[0],
    "cmirnet.latent.latent_network": lambda s, x: latent_network(x, (x["z_a"], x["z_b"]), s.arch, each(s.masks)),
    "cmirnet.objective.objective": lambda s, x: objective(
        x, (x["z_a"], x["z_b"]), each(s.y), s.arch, s.weights, s.readings, s.layers, each(s.masks), s.contrast
    )[0],
    "cmirnet.many.many_objective": lambda s, x: many_objective(
        x, {m: x[f"z_{m}"] for m in "abc"}, tensor(s.y), s.arch, s.WEIGHTS, s.readings, s.layers, each(s.masks)
    ),
    "cmirnet.end_to_end.end_to_end": _end_to_end,
}

import oracle_amfmn  # noqa: E402 - it reads what stands above

TWINS |= oracle_amfmn.TWINS


def oracle(covers: str, pair, inputs: dict[str, np.ndarray], dy: list | None = None) -> tuple[list, dict]:
    """(outputs, gradient of each input of ⟨y, dy⟩) by the twin of a declared pair; no gradients without `dy`."""
    x = {name: tensor(value).requires_grad_() for name, value in inputs.items()}
    y = TWINS[covers](SimpleNamespace(**settings(pair.forward)), x)
    y = [part for part in (y if isinstance(y, tuple) else (y,)) if part is not None]
    values = [part.detach().numpy() for part in y]
    if dy is None:
        return values, {}
    scalar = sum((part * tensor(d)).sum() for part, d in zip(y, dy, strict=True))
    grads = torch.autograd.grad(scalar, list(x.values()), materialize_grads=True)
    return values, {name: g.numpy() for name, g in zip(x, grads, strict=True)}


# ---- ten steps ------------------------------------------------------------------------------------------------------


def rate(step: int, steps: int, schedule) -> float:
    """Linear warm-up, then the constant rate or half a cosine."""
    rising = schedule.warmup * steps
    if step < rising:
        return schedule.lr * min(1, (step + 1) / rising)
    share = (step - rising) / (steps - rising) if schedule.schedule == "cosine" else 0
    return schedule.lr * (1 + math.cos(math.pi * share)) / 2


def train(run) -> list[dict[str, float]]:
    """The losses of `ten_steps.Trained` again: its parameters and batches, the twins' losses, `torch.optim.AdamW`.

    An alternating update asks for one gradient a turn; the step that bias correction counts is the batch's.
    """
    schedule, turns = run.task.schedule, run.task.alternating or [("",)]  # every name begins with nothing
    p = {name: tensor(value).clone().requires_grad_() for name, value in run.params.items()}
    decayed = [{"params": [w], "weight_decay": schedule.weight_decay if w.ndim > 1 else 0.0} for w in p.values()]
    adam = torch.optim.AdamW(decayed, betas=(0.9, 0.999), eps=1e-8)
    losses = []
    for asked, batch in enumerate(run.batches):
        step, turn = divmod(asked, len(turns))
        loss, terms = stage1_loss(run, p, batch) if run.kind else stage2_loss(run, p, batch)
        losses.append({name: value.item() for name, value in {"loss": loss, **terms}.items()})
        adam.zero_grad()
        loss.backward()
        for own, (name, w) in zip(adam.param_groups, p.items(), strict=True):
            own["lr"] = rate(step, len(run.batches) // len(turns), schedule)
            moving = name.startswith(turns[turn])
            w.grad = (torch.zeros_like(w) if w.grad is None else w.grad) if moving else None
            if adam.state[w]:
                adam.state[w]["step"].fill_(step)
        adam.step()
    return losses


def stage1_loss(run, p, batch):
    x, y, mask = map(tensor, batch)
    reading = run.config.orthogonality.model_dump()
    return pretraining_objective(p, x, y, run.network.arch, mask, run.kind, buffers=each(run.buffers), **reading)


def stage2_loss(run, p, batch):
    x, y, masks = map(each, batch)
    n = run.network
    settings = {"arch": n.arch, "weights": n.weights, "readings": n.readings, "layers": n.regularized_layers}
    settings["contrast"] = n.contrast
    if run.config.system == "attention":
        heads = n.fronts["heads"]
        form = SimpleNamespace(kind=run.config.attention, residual=run.config.gate_residual)
        settings |= {"heads": None if heads is None else each(heads), "rate": run.config.stage2.feature_dropout}
        return attended_objective(p, x, y, form, masks=masks, **settings)
    if not n.fronts:
        return objective(p, x, y, masks=masks, **settings)
    return end_to_end(p, x, y, [n.fronts.get(m) for m in "ab"], masks, **settings)
