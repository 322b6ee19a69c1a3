"""No public pair without a gradient check."""

import importlib
import inspect
import pkgutil

from cmir_ref.checks import CHECKS

TRAINING = ("stages", "many_training", "fit", "published")  # tasks of the training loop and printed numbers

HELPERS = {  # public functions without a backward of their own, and why
    "ops.conv.im2col": "linear; its transpose is col2im (test_conv)",
    "ops.conv.col2im": "linear; its transpose is im2col (test_conv)",
    "ops.sums.column_sum": "a sum, part of other operations (test_sums)",
    "ops.sums.column_mean": "a mean, part of other operations (test_sums)",
    "ops.sums.reduction_factor": "a number (test_sums)",
    "ops.labels.multi_hot": "of labels, which have no gradient",
    "ops.softmax_cross_entropy.target_distribution": "of labels, which have no gradient",
    "ops.fused.adam.adam_step_by_chunks": "an update of parameters (test_adam)",
    "ops.fused.act_norm.write_leaky_relu": "leaky ReLU into a given array",
    "ops.fused.act_norm.given_statistics": "mean and variance that no gradient goes through",
    "ops.fused.act_norm.write_affine": "part of act_norm, into a given array",
    "ops.fused.act_norm.leaky_relu_derivative": "a derivative, part of act_norm_backward",
    "ops.fused.conv_max_pool.can_tile": "a question",
    "ops.fused.conv_max_pool.write_conv_max_pool": "part of two pairs, a block of samples at a time",
    "ops.fused.conv_max_pool.empty_pooled": "makes empty arrays",
    "ops.fused.moments.widen": "reshapes",
    "ops.fused.moments.channel_sum": "a sum, part of other operations (test_act_norm)",
    "ops.fused.moments.moments": "statistics, part of other operations (test_act_norm)",
    "ops.fused.moments.combine": "statistics, part of other operations (test_act_norm)",
    "cmirnet.eq3_classification.label_union": "of labels, which have no gradient",
    "nets.conv_pretrainer.pools_for": "chooses numbers",
    "nets.conv_pretrainer.init_conv_pretrainer": "draws parameters",
    "nets.feature_pretrainer.init_feature_pretrainer": "draws parameters",
    "cmirnet.latent.init_latent": "draws parameters",
    "cmirnet.latent.classifier_names": "chooses names",
    "cmirnet.latent.regularised_matrices": "chooses parameters",
    "cmirnet.latent.decayed_matrices": "chooses parameters",
    "cmirnet.latent.encode": "an mlp by name, for retrieval",
    "cmirnet.latent.letters": "chooses names",
    "cmirnet.many.names_of_pair": "chooses names",
    "nets.pretraining.choose_pretrainer": "chooses functions",
    "hashing.codes.project_features": "retrieval, no training",
    "hashing.codes.codes": "a sign has no gradient",
    "hashing.codes.signs": "a sign has no gradient",
    "hashing.codes.centred_signs": "a sign has no gradient",
    "hashing.codes.storage_bits": "counts",
    "hashing.codes.check_features": "checks input",
    "hashing.codes.check_pairs": "checks input",
    "hashing.codes.label_rows": "of labels, which have no gradient",
    "hashing.cca.cca": "a closed form (test_hashing_cca)",
    "hashing.cca.whiten": "a closed form (test_hashing_cca)",
    "hashing.cca.largest_directions": "a closed form (test_hashing_cca)",
    "hashing.cca.check_width": "checks input",
    "hashing.scm.scm_orthogonal": "a closed form (test_hashing_scm)",
    "hashing.scm.scm_sequential": "a closed form (test_hashing_scm)",
    "hashing.dcmh.shared_codes": "a sign has no gradient",
    "hashing.dcmh.init_hash_network": "draws parameters",
    "hashing.dcmh.relaxed_codes": "an mlp by name",
    "hashing.dcmh.hash_codes": "a sign has no gradient",
    "hashing.baselines.class_probabilities": "retrieval, no training",
}


def public_functions():
    """Dotted names below cmir_ref of all public functions of ops, nets, cmirnet and hashing."""
    for package in ("ops", "nets", "cmirnet", "hashing"):
        root = importlib.import_module(f"cmir_ref.{package}")
        for info in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
            if info.name.rpartition(".")[2] in TRAINING:
                continue
            module = importlib.import_module(info.name)
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if function.__module__ == module.__name__ and not name.startswith("_"):
                    yield f"{module.__name__}.{name}".removeprefix("cmir_ref.")


def test_every_pair_is_checked_and_every_check_names_a_pair():
    found = set(public_functions())
    pairs = {name for name in found if f"{name}_backward" in found}
    assert {check.covers for check in CHECKS} == pairs
    assert len(pairs) >= 23  # introspection still finds them


def test_every_other_public_function_is_a_known_helper():
    found = set(public_functions())
    alone = {name for name in found if not name.endswith("_backward") and f"{name}_backward" not in found}
    assert alone == HELPERS.keys()
    orphans = {name for name in found if name.endswith("_backward") and name.removesuffix("_backward") not in found}
    assert orphans == set()


def test_names_are_unique():
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))
