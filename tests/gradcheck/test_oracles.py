"""Every checked function has a test of its values against a naive oracle, and that test notices a wrong value."""

import ast
import importlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from test_battery import each

from cmir_ref.checks import CHECKS

TESTS = Path(__file__).parents[1]
ORACLES = {  # function: (file, test, its arguments)
    "ops.batch_norm.batch_norm": ("ops/test_batch_norm.py", "test_frozen_is_affine", {}),
    "ops.conv.conv": ("ops/test_conv.py", "test_same_cross_correlation", {"k": 3}),
    "ops.depthwise_conv.depthwise_conv": (
        "ops/test_depthwise_conv.py",
        "test_each_channel_by_its_own_kernel",
        {"k": 3},
    ),
    "ops.dropout.dropout": ("ops/test_dropout.py", "test_kept_units_are_divided_by_the_chance_to_be_kept", {}),
    "ops.frobenius.frobenius": (
        "ops/test_frobenius.py",
        "test_sum_of_squares_its_root_and_their_mean_over_rows",
        {},
    ),
    "ops.fused.act_norm.act_norm": (
        "ops/test_act_norm.py",
        "test_values_statistics_and_gradients",
        {"dtype": "float64"},
    ),
    "ops.fused.conv_act_norm_pool.conv_act_norm_pool": (
        "ops/test_conv_act_norm_pool.py",
        "test_values_statistics_and_gradients",
        {"dtype": "float64", "tolerance": 1e-12},
    ),
    "ops.fused.conv_max_pool.conv_max_pool": (
        "ops/test_conv_max_pool.py",
        "test_values_and_gradients",
        {"dtype": "float64"},
    ),
    "ops.fused.depthwise_by_lines.depthwise_by_lines": (
        "ops/test_depthwise_by_lines.py",
        "test_values_and_gradients",
        {"dtype": "float64"},
    ),
    "ops.fused.dense_layer.dense_layer": (
        "ops/test_on_device_twins.py",
        "test_a_layer_entry_by_entry",
        {"active": True, "mixed": False},
    ),
    "ops.fused.on_device.conv_on_device": ("ops/test_on_device_twins.py", "test_a_convolution_is_the_plain_one", {}),
    "ops.fused.on_device.max_pool_on_device": ("ops/test_on_device_twins.py", "test_a_pool_is_the_plain_one", {}),
    "ops.fused.norm_terms.norm_terms": ("ops/test_on_device_twins.py", "test_norms_term_by_term", {}),
    "ops.fused.softmax_rows.softmax_rows": (
        "ops/test_on_device_twins.py",
        "test_a_cross_entropy_row_by_row",
        {"reduction": "mean"},
    ),
    "cmirnet.fused_total.fused_total": ("cmirnet/test_fused_total.py", "test_a_term_of_weight_0_is_not_there", {}),
    "ops.global_mean.global_mean": ("ops/test_global_mean.py", "test_the_mean_of_every_channel", {}),
    "ops.strided_conv.strided_conv": ("ops/test_strided_conv.py", "test_window_by_window", {"k": 3}),
    "nets.conv_block.conv_block": (
        "nets/test_conv_block.py",
        "test_four_operations_in_their_order",
        {"order": "conv-pool-act-norm", "fused": False},
    ),
    "ops.cross_entropy.cross_entropy": ("ops/test_cross_entropy.py", "test_the_formula_of_each_kind", {}),
    "ops.linear.linear": ("ops/test_linear.py", "test_sum_over_inputs_plus_bias", {}),
    "ops.max_pool.max_pool": ("ops/test_max_pool.py", "test_first_largest_pixel_of_each_whole_window", {}),
    "ops.relu.leaky_relu": ("ops/test_relu.py", "test_leaky_relu", {}),
    "ops.relu.relu6": ("ops/test_relu.py", "test_relu6", {}),
    "ops.relu.relu": ("ops/test_relu.py", "test_relu", {}),
    "ops.sigmoid_cross_entropy.sigmoid_cross_entropy": (
        "ops/test_sigmoid_cross_entropy.py",
        "test_value_for_every_kind_of_target",
        {},
    ),
    "ops.sigmoid.sigmoid": ("ops/test_sigmoid.py", "test_against_math", {}),
    "ops.softmax_attention.softmax_attention": (
        "ops/test_softmax_attention.py",
        "test_a_mean_of_the_values_that_are_seen",
        {"shape": (3, 1, 5)},
    ),
    "attention.gate.channel_gate": (
        "attention/test_gate.py",
        "test_each_channel_is_weighed_by_the_sketch",
        {"residual": True},
    ),
    "attention.gate.spatial_mask": (
        "attention/test_gate.py",
        "test_each_place_is_weighed_by_the_same_place_of_the_sketch",
        {"residual": True},
    ),
    "attention.cross_attention.cross_attention": (
        "attention/test_cross_attention.py",
        "test_each_place_adds_what_the_sketch_answers",
        {},
    ),
    "attention.grad_cam.class_scores": (
        "attention/test_grad_cam.py",
        "test_what_follows_a_map",
        {"m": "a"},
    ),
    "attention.objective.attend": (
        "attention/test_attended_objective.py",
        "test_what_is_done_to_features_and_maps",
        {"kind": "channel"},
    ),
    "attention.objective.attended_objective": (
        "attention/test_attended_objective.py",
        "test_cmir_nets_losses_of_the_attended_features",
        {"kind": "channel", "rate": 0.0},
    ),
    "ops.softmax_cross_entropy.softmax_cross_entropy": (
        "ops/test_softmax_cross_entropy.py",
        "test_value_for_every_kind_of_target",
        {},
    ),
    "ops.prelu.prelu": ("ops/test_prelu.py", "test_a_slope_for_each_channel", {}),
    "ops.tanh.tanh": ("ops/test_tanh.py", "test_the_quotient_of_exponentials", {}),
    "ops.upsample.upsample": ("ops/test_upsample.py", "test_every_pixel_from_its_neighbours", {"kind": "bilinear"}),
    "ops.unit_rows.unit_rows": ("ops/test_unit_rows.py", "test_length_one_and_the_same_direction", {}),
    "ops.cosine.cosine": ("ops/test_cosine.py", "test_every_pair_by_itself", {}),
    "ops.embedding.embedding": ("ops/test_embedding.py", "test_rows_of_the_table_and_zeros_for_padding", {}),
    "ops.time_mean.time_mean": ("ops/test_time_mean.py", "test_the_mean_of_the_valid_steps", {}),
    "ops.gru_cell.gru_cell": ("ops/test_gru.py", "test_a_cell_number_by_number", {"reset": "after"}),
    "ops.gru.gru": (
        "ops/test_gru.py",
        "test_sequences_one_by_one_without_their_padding",
        {"reset": "after", "reverse": False, "function": "gru"},
    ),
    "ops.fused.gru_by_length.gru_by_length": (
        "ops/test_gru.py",
        "test_sequences_one_by_one_without_their_padding",
        {"reset": "before", "reverse": True, "function": "gru_by_length"},
    ),
    "ops.fused.gru_on_device.gru_on_device": (
        "ops/test_gru.py",
        "test_sequences_one_by_one_without_their_padding",
        {"reset": "after", "reverse": True, "function": "gru_on_device"},
    ),
    "amfmn.eq10_sentence.sentence": (
        "amfmn/test_amfmn_texts.py",
        "test_the_mean_over_both_directions_and_all_words",
        {"reset": "after"},
    ),
    "amfmn.eq13_keywords.keywords_vector": (
        "amfmn/test_amfmn_texts.py",
        "test_the_mean_over_the_keywords_that_there_are",
        {},
    ),
    "amfmn.eq14_visual_attention.visual_attention": (
        "amfmn/test_amfmn_visual_attention.py",
        "test_a_mask_from_the_maps_pixel_by_pixel",
        {"activation": "prelu", "unit": True, "residual": "raw"},
    ),
    "amfmn.eq1_similarity.similarity": (
        "amfmn/test_amfmn_similarity.py",
        "test_the_cosine_of_every_pair_by_itself",
        {"texts": "sk", "attention": "fusion", "tile": (2, 3), "monkeypatch": ...},
    ),
    "amfmn.eq1_similarity.soft_similarity": ("amfmn/test_amfmn_similarity.py", "test_the_soft_gate_in_closed_form", {}),
    "amfmn.eq20_guided_attention.guided_attention": (
        "amfmn/test_amfmn_similarity.py",
        "test_what_an_image_makes_of_a_text",
        {"kind": "soft"},
    ),
    "amfmn.eq26_fusion.fusion": (
        "amfmn/test_amfmn_similarity.py",
        "test_sentence_and_keywords_in_shares",
        {"kind": "gate", "normalised": True},
    ),
    "amfmn.eq30_triplet.triplet": (
        "amfmn/test_amfmn_triplet.py",
        "test_every_negative_against_its_own_margin",
        {"hardest": False},
    ),
    "amfmn.eq5_features.features": (
        "amfmn/test_amfmn_features.py",
        "test_low_and_high_maps_and_the_mean_of_the_last",
        {"kind": "nearest"},
    ),
    "amfmn.label_objective.label_objective": (
        "amfmn/test_amfmn_objective.py",
        "test_the_labels_from_the_mean_of_the_last_map",
        {},
    ),
    "amfmn.networks.image_network": (
        "amfmn/test_amfmn_objective.py",
        "test_an_image_step_by_step",
        {"mode": "train", "mask": True},
    ),
    "amfmn.networks.text_network": (
        "amfmn/test_amfmn_objective.py",
        "test_a_text_step_by_step",
        {"text": "both", "reset": "after"},
    ),
    "amfmn.objective.match_objective": (
        "amfmn/test_amfmn_objective.py",
        "test_the_loss_of_the_scores_of_both_networks",
        {"hardest": False, "mode": "train"},
    ),
    "nets.conv_maps.conv_maps": (
        "amfmn/test_amfmn_features.py",
        "test_every_block_behind_the_first_ones_gives_a_map",
        {"skipped": 0},
    ),
    "cmirnet.contrastive.contrastive": ("cmirnet/test_contrastive.py", "test_two_pairs_by_hand", {}),
    "cmirnet.eq1_pretraining.pretraining_loss": (
        "cmirnet/test_eq1_pretraining.py",
        "test_the_text_by_default",
        {},
    ),
    "cmirnet.eq1_pretraining.soft_orthogonality": ("cmirnet/test_eq1_pretraining.py", "test_soft_orthogonality", {}),
    "cmirnet.eq2_alignment.alignment": ("cmirnet/test_eq2_alignment.py", "test_distance_of_the_pairs", {}),
    "cmirnet.eq3_classification.classification": (
        "cmirnet/test_eq3_classification.py",
        "test_heads_seen_row_by_row",
        {"kinds": ("softmax", "sigmoid")},
    ),
    "cmirnet.eq4_feature_norm.feature_norm": ("cmirnet/test_eq4_feature_norm.py", "test_energy_of_both", {}),
    "cmirnet.eq5_reconstruction.reconstruction": (
        "cmirnet/test_eq5_reconstruction.py",
        "test_each_decoder_against_its_target",
        {"target": "cross"},
    ),
    "cmirnet.eq6_total.total": (
        "cmirnet/test_eq6_total.py",
        "test_weighted_sum_of_parts_that_are_reported_unweighted",
        {"readings": ...},
    ),
    "cmirnet.eq7_regulariser.regulariser": ("cmirnet/test_eq7_regulariser.py", "test_three_readings", {}),
    "nets.conv_pretrainer.conv_pretrainer": (
        "nets/test_conv_pretrainer.py",
        "test_three_blocks_step_by_step",
        {"order": "conv-pool-act-norm", "norm": "train", "fused": False},
    ),
    "cmirnet.end_to_end.end_to_end": (
        "cmirnet/test_end_to_end.py",
        "test_the_objective_of_the_fronts_features_and_back",
        {"mode": "train", "fronts": ...},
    ),
    "nets.efficientnet_lite.efficientnet_lite": (
        "nets/test_efficientnet_lite.py",
        "test_layer_by_layer",
        {"mode": "inference"},
    ),
    "nets.trunk_pretrainer.trunk_pretrainer": (
        "nets/test_trunk_pretrainer.py",
        "test_the_head_of_the_trunks_features",
        {"first": 0, "norm": "inference"},
    ),
    "nets.feature_pretrainer.feature_pretrainer": (
        "nets/test_pretrainers.py",
        "test_dense_pretrainer",
        {"hidden": (6,)},
    ),
    "hashing.dcmh.dcmh": ("hashing/test_hashing_dcmh.py", "test_the_formula_entry_by_entry", {}),
    "hashing.dcmh.likelihood": (
        "hashing/test_hashing_dcmh.py",
        "test_likelihood_of_every_pair_of_samples",
        {},
    ),
    "hashing.sidhcnn.sidhcnn": (
        "hashing/test_hashing_sidhcnn.py",
        "test_dcmh_and_similarity_within_each_source",
        {},
    ),
    "nets.head.head": ("nets/test_pretrainers.py", "test_dense_pretrainer", {"hidden": ()}),
    "cmirnet.latent.latent_network": (
        "cmirnet/test_latent.py",
        "test_every_output_from_its_formula",
        {"classifier": "shared", "dropout": "none", "mode": "train"},
    ),
    "cmirnet.many.many_objective": (
        "cmirnet/test_many.py",
        "test_eq_6_of_every_pair_added_up",
        {"classes": 4},
    ),
    "nets.mlp.mlp": (
        "nets/test_pretrainers.py",
        "test_where_a_stack_is_rectified",
        {"activation": "relu", "rectified": (1, 1)},
    ),
    "cmirnet.objective.objective": (
        "cmirnet/test_objective.py",
        "test_equation_6_of_the_networks_output",
        {"classifier": "shared", "layers": "all"},
    ),
    "cmirnet.pretraining_objective.pretraining_objective": (
        "gradcheck/test_networks.py",
        "test_equation_1_is_cross_entropy_and_orthogonality_of_the_networks_output",
        {},
    ),
}
OWN = {  # arguments that are made in the test's own module
    "cmirnet.fused_total.fused_total": lambda module: {"weights": module.Weights()},
    "cmirnet.eq6_total.total": lambda module: {"readings": module.Readings(alpha=0.5)},
    "cmirnet.end_to_end.end_to_end": lambda module: {"fronts": (None, None)},
}


def loaded(path, monkeypatch):
    """A fresh copy of a test module."""
    monkeypatch.syspath_prepend(str(path.parent))
    spec = importlib.util.spec_from_file_location(f"oracle_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def nothing_shrunk():
    """A module that is loaded here looks for a mistake, and not for its smallest example, which nobody reads."""
    quick = settings(settings.default, phases=(Phase.explicit, Phase.generate), report_multiple_bugs=False)
    settings.register_profile("nothing shrunk", quick)
    settings.load_profile("nothing shrunk")
    yield
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def plant(monkeypatch, function, wrong, *modules):
    """`wrong` in place of `function` wherever the package and `modules` know it."""
    package = [module for name, module in list(sys.modules.items()) if name.startswith("cmir_ref")]
    for module in (*package, *modules):
        for name, value in list(vars(module).items()):
            if value is function:
                monkeypatch.setattr(module, name, wrong)


def test_every_checked_function_has_an_oracle():
    assert {check.covers for check in CHECKS} == ORACLES.keys()


@pytest.mark.parametrize("covers", ORACLES)
def test_no_oracle_is_skipped(covers):
    file, test, _ = ORACLES[covers]
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    module_level = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
    (found,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == test)
    words = {getattr(n, "attr", getattr(n, "id", "")) for part in (*module_level, found) for n in ast.walk(part)}
    assert not words & {"skip", "skipif", "xfail", "importorskip"}


@pytest.mark.parametrize("covers", ORACLES)
def test_an_oracle_passes_and_notices_a_value_wrong_by_a_thousandth(covers, monkeypatch, nothing_shrunk):
    file, test, arguments = ORACLES[covers]
    module_name, _, name = covers.rpartition(".")
    function = getattr(importlib.import_module(f"cmir_ref.{module_name}"), name)
    module = loaded(TESTS / file, monkeypatch)
    arguments = arguments | OWN.get(covers, lambda module: {})(module)
    arguments |= {"monkeypatch": monkeypatch} if "monkeypatch" in arguments else {}  # undone, or later tests see it
    getattr(module, test)(**arguments)

    def wrong(*args, **given):
        y, cache = function(*args, **given)
        return each(lambda part: part * 1.001, y), cache

    plant(monkeypatch, function, wrong, module)
    with pytest.raises((AssertionError, ExceptionGroup)):
        getattr(module, test)(**arguments)
