"""No public pair without a gradient check."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import cmir_ref
from cmir_ref.checks import CHECKS
from cmir_ref.cmirnet import Weights

ROOT = Path(cmir_ref.__file__).parent


def public_names(tree):
    """What a module defines at its top level, by a function or an assignment, and does not begin with _."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
        else:
            continue
        yield from (name for name in names if not name.startswith("_"))


@cache
def read_pairs(root):
    """(dotted names f below `root` where f and f_backward are public, those of a backward whose f is missing)."""
    pairs, orphans = set(), set()
    for path in sorted(root.rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        names = set(public_names(ast.parse(path.read_text(encoding="utf-8"))))
        for backward in (name for name in names if name.endswith("_backward")):
            forward = backward.removesuffix("_backward")
            (pairs if forward in names else orphans).add(f"{module}.{forward}")
    return pairs, orphans


def undeclared(root, checks):
    """The pairs below `root` that no check covers."""
    return read_pairs(root)[0] - {check.covers for check in checks}


def test_every_pair_is_checked_and_every_check_names_a_pair():
    pairs, orphans = read_pairs(ROOT)
    assert undeclared(ROOT, CHECKS) == set()
    assert {check.covers for check in CHECKS} == pairs
    assert orphans == set()


@pytest.mark.parametrize("covers", sorted({check.covers for check in CHECKS}))
def test_a_pair_whose_declarations_are_gone_is_noticed(covers):
    assert undeclared(ROOT, [check for check in CHECKS if check.covers != covers]) == {covers}


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("def gate(z):\n    pass\n\n\ndef gate_backward(dy, cache):\n    pass\n", "amfmn.gate.gate"),
        ("def gate(z):\n    pass\n\n\ngate_backward = gate\n", "amfmn.gate.gate"),
        ("def gate(z):\n    pass\n\n\ndef _gate_backward(dy, cache):\n    pass\n", None),
        ("def gate(z):\n    pass\n\n\ndef backward(dy, cache):\n    pass\n", None),
    ],
)
def test_a_new_pair_in_a_new_folder_has_to_be_declared(tmp_path, text, pair):
    (tmp_path / "amfmn").mkdir()
    (tmp_path / "amfmn" / "gate.py").write_text(text, encoding="utf-8")
    assert undeclared(tmp_path, CHECKS) == ({pair} if pair else set())


def test_a_backward_without_its_forward_is_noticed(tmp_path):
    (tmp_path / "gate.py").write_text("def gate_backward(dy, cache):\n    pass\n", encoding="utf-8")
    assert read_pairs(tmp_path) == (set(), {"gate.gate"})


HELPERS = {  # public functions without a backward of their own, and why
    "amfmn.eq10_sentence": {"gru_weights": "chooses parameters"},
    "amfmn.eq20_guided_attention": {
        "attention_names": "chooses names",
        "sum_to": "the transpose of a broadcast (tests/amfmn/test_amfmn_similarity.py)",
    },
    "amfmn.networks": {"texts_of": "chooses letters"},
    "amfmn.objective": {"comparison_params": "chooses parameters"},
    "attention.grad_cam": {"cam_of_class": "a picture of a gradient", "grad_cam": "the same, from the gradient"},
    "cmirnet.eq3_classification": {"label_union": "of labels, which have no gradient"},
    "cmirnet.latent": {
        "classifier_names": "chooses names",
        "decayed_matrices": "chooses parameters",
        "encoder": "an mlp by name, for retrieval",
        "letters": "chooses names",
        "regularised_matrices": "chooses parameters",
    },
    "cmirnet.many": {"names_of_pair": "chooses names"},
    "hashing.dcmh": {
        "hash_codes": "a sign has no gradient",
        "relaxed_codes": "an mlp by name",
        "shared_codes": "a sign has no gradient",
    },
    "nets.conv_pretrainer": {"pools_for": "chooses numbers"},
    "nets.efficientnet_lite": {
        "fold_lite": "for inference (tests/nets/test_efficientnet_lite.py)",
        "has_shortcut": "a question",
        "is_statistic": "a question",
        "last_stage": "counts",
        "lite_blocks": "lists the architecture",
        "lite_features": "for inference (tests/nets/test_efficientnet_lite.py)",
        "lite_maps": "for inference (tests/nets/test_efficientnet_lite.py)",
        "lite_shapes": "lists the architecture",
        "output_before": "for inference (tests/nets/test_trunk_pretrainer.py)",
        "scale_lite": "chooses numbers",
        "trained_layers": "chooses names",
    },
    "nets.pretraining": {"choose_pretrainer": "chooses functions"},
    "ops.conv": {
        "im2col": "linear; its transpose is col2im (test_conv)",
        "col2im": "linear; its transpose is im2col (test_conv)",
    },
    "ops.fused.act_norm": {
        "given_statistics": "mean and variance that no gradient goes through",
        "leaky_relu_derivative": "a derivative, part of act_norm_backward",
        "write_affine": "part of act_norm, into a given array",
        "write_leaky_relu": "part of act_norm, into a given array",
    },
    "ops.fused.add_products": {"add_products": "part of a convolution's backward (test_conv_max_pool)"},
    "ops.fused.by_samples": {
        "by_samples": "shares out work (test_folded_block)",
        "add_parts": "sums up what came back (test_folded_block)",
    },
    "ops.fused.dense_layer": {
        "input_of": "what a layer was given (tests/attention)",
        "keep_where": "np.where without branches (tests/ops/test_on_device_twins.py)",
    },
    "ops.fused.depthwise_by_lines": {"can_run_along_lines": "a question"},
    "ops.fused.folded_block": {
        "folded_block": "for inference; its plain operations are checked (test_folded_block)",
        "pointwise_relu6": "for inference (test_folded_block)",
        "write_relu6": "part of folded_block, into a given array",
    },
    "ops.fused.adam": {"adam_step_by_chunks": "a step of the optimiser (tests/training/test_adam.py)"},
    "ops.fused.conv_max_pool": {
        "can_tile": "a question",
        "empty_pooled": "makes room",
        "write_conv_max_pool": "part of two pairs, a block of samples at a time",
    },
    "ops.fused.norm_terms": {"saves_launches": "asks where an array is (tests/strict/test_launches.py)"},
    "ops.fused.moments": {
        "channel_sum": "a sum, part of other operations (test_act_norm)",
        "combine": "statistics, part of other operations (test_act_norm)",
        "moments": "statistics, part of other operations (test_act_norm)",
        "widen": "reshapes",
    },
    "nets.given_maps": {"given_maps": "views of what a frozen network made, through which no gradient goes"},
    "ops.labels": dict.fromkeys(("check_targets", "multi_hot"), "of labels, which have no gradient"),
    "ops.shapes": dict.fromkeys(("check_fractions", "check_same_shape", "check_vectors"), "no value"),
    "ops.padding": {
        "crop": "a view; the transpose of pad (test_strided_conv)",
        "output_size": "two numbers",
        "pad": "linear; its transpose is crop (test_strided_conv)",
        "same_padding": "four numbers",
        "tap": "a view, part of other operations",
    },
    "ops.softmax_cross_entropy": {"target_distribution": "of labels, which have no gradient"},
    "ops.sums": {
        "column_mean": "a mean, part of other operations (test_sums)",
        "column_sum": "a sum, part of other operations (test_sums)",
        "reduction_factor": "a number",
    },
    "ops.fused.tiles": {"corners": "where windows begin, whole numbers"},
    "ops.upsample": {"interpolation": "a matrix, through which no gradient goes"},
}


def lone_functions(root):
    """{module: public functions that belong to no pair and draw no parameters}, of operations, networks and losses."""
    pairs, _ = read_pairs(root)
    with_pairs, lone = {pair.rpartition(".")[0] for pair in pairs}, {}
    for path in sorted(root.rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        if module in with_pairs or module.split(".")[0] in ("ops", "nets"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            names = {n for n in names if not n.startswith(("_", "init_")) and not n.endswith("_backward")}
            lone[module] = {name for name in names if f"{module}.{name}" not in pairs}
    return {module: names for module, names in lone.items() if names}


def test_every_other_public_function_is_a_known_helper():
    assert lone_functions(ROOT) == {module: names.keys() for module, names in HELPERS.items()}


def test_a_function_whose_gradient_was_forgotten_is_noticed(tmp_path):
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "gate.py").write_text("def gate(z):\n    pass\n\n\ndef init_gate(rng):\n    pass\n", "utf-8")
    assert lone_functions(tmp_path) == {"ops.gate": {"gate"}}


NO_GRADIENT = (
    "test_labels.py",
    "test_not_finite.py",
    "test_refused_shapes.py",
)  # labels have none, the others are of all
TESTS_OF_OPERATIONS = sorted(
    path for path in (Path(__file__).parents[1] / "ops").glob("test_*.py") if path.name not in NO_GRADIENT
)


@pytest.mark.parametrize("path", TESTS_OF_OPERATIONS, ids=lambda path: path.stem)
def test_the_tests_of_an_operation_say_where_its_gradient_is_checked(path):
    (line,) = (line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# gradient: "))
    file, *declarations, battery = re.findall(r"[\w./…-]+", line.removeprefix("# gradient: "))
    assert (ROOT / file).is_file() and (path.parents[1].parent / battery).is_file()
    names = {check.name for check in CHECKS}
    for name in declarations:
        assert name in names or any(other.startswith(name.removesuffix("…")) for other in names if "…" in name), name
    assert declarations


def test_names_are_unique():
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))


def test_each_weight_of_the_objective_is_checked_alone():
    assert {f"objective/{term}-alone" for term in Weights._fields} <= {check.name for check in CHECKS}
