"""No public pair without a gradient check."""

import importlib
import inspect
import pkgutil

import cmir_ref
from cmir_ref.checks import CHECKS
from cmir_ref.equations import EQUATIONS

HELPERS = {  # public functions without a backward of their own, and why
    "ops.conv.im2col": "linear; its transpose is col2im (test_conv)",
    "ops.conv.col2im": "linear; its transpose is im2col (test_conv)",
    "ops.sums.column_sum": "a sum, part of other operations (test_sums)",
    "ops.sums.column_mean": "a mean, part of other operations (test_sums)",
    "ops.softmax_cross_entropy.target_distribution": "of labels, which have no gradient",
    "ops.fused.act_norm.activate": "leaky ReLU into a given array",
    "ops.fused.act_norm.constants": "mean and variance that no gradient goes through",
    "ops.fused.act_norm.normalise": "part of act_norm, into a given array",
    "ops.fused.conv_max_pool.fits": "a question",
    "ops.fused.conv_max_pool.pool": "part of two pairs, a block of samples at a time",
    "ops.fused.conv_max_pool.pooled": "makes room",
    "ops.fused.act_norm.leaky_factor": "a derivative, part of act_norm_backward",
    "ops.fused.moments.wide": "reshapes",
    "ops.fused.moments.channel_sum": "a sum, part of other operations (test_act_norm)",
    "ops.fused.moments.moments": "statistics, part of other operations (test_act_norm)",
    "ops.fused.moments.combine": "statistics, part of other operations (test_act_norm)",
    "ops.fused.parallel.cores": "counts cores",
    "ops.fused.parallel.each": "runs work, computes nothing",
    "ops.fused.parallel.each_block": "runs work, computes nothing",
    "ops.fused.parallel.single_threaded_blas": "sets threads, computes nothing",
    "ops.fused.parallel.blocks": "cuts samples into blocks",
    "losses.eq3_classification.either": "of labels, which have no gradient",
    "models.conv_pretrainer.pools_for": "chooses numbers",
    "models.conv_pretrainer.init_conv_pretrainer": "draws parameters",
    "models.feature_pretrainer.init_feature_pretrainer": "draws parameters",
    "models.latent.init_latent": "draws parameters",
    "models.latent.head_names": "chooses names",
    "models.latent.regularised_matrices": "chooses parameters",
    "models.latent.head_matrices": "chooses parameters",
    "models.latent.encode": "an mlp by name, for retrieval",
    "models.latent.letters": "chooses names",
    "models.many.names_of_pair": "chooses names",
    "models.end_to_end.under": "chooses parameters",
    "models.end_to_end.prefixed": "names parameters",
    "models.pretrainers.choose_pretrainer": "chooses functions",
    "models.hashing.codes.project": "retrieval, no training",
    "models.hashing.codes.codes": "a sign has no gradient",
    "models.hashing.codes.signs": "a sign has no gradient",
    "models.hashing.codes.centred_signs": "a sign has no gradient",
    "models.hashing.codes.storage_bits": "counts",
    "models.hashing.codes.features": "checks input",
    "models.hashing.codes.paired": "checks input",
    "models.hashing.codes.label_rows": "of labels, which have no gradient",
    "models.hashing.cca.cca": "a closed form (test_hashing_cca)",
    "models.hashing.cca.whiten": "a closed form (test_hashing_cca)",
    "models.hashing.cca.strongest": "a closed form (test_hashing_cca)",
    "models.hashing.cca.check_width": "checks input",
    "models.hashing.scm.scm_orthogonal": "a closed form (test_hashing_scm)",
    "models.hashing.scm.scm_sequential": "a closed form (test_hashing_scm)",
    "models.hashing.dcmh.shared_codes": "a sign has no gradient",
    "models.hashing.dcmh.init_hash_network": "draws parameters",
    "models.hashing.dcmh.relaxed_codes": "an mlp by name",
    "models.hashing.dcmh.hash_codes": "a sign has no gradient",
    "models.hashing.baselines.class_probabilities": "retrieval, no training",
}


def public_functions():
    """Dotted names below cmir_ref of all public functions of ops, losses and models."""
    for package in ("ops", "losses", "models"):
        root = importlib.import_module(f"cmir_ref.{package}")
        for info in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
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


def test_the_map_of_equations_leads_to_functions_and_checks():
    for equation in EQUATIONS:
        module, _, name = equation.function.rpartition(".")
        function = getattr(importlib.import_module(f"{cmir_ref.__name__}.{module}"), name)
        assert callable(function)
        covering = [check for check in CHECKS if equation.check in check.name]
        assert any(check.covers == equation.function for check in covering)
