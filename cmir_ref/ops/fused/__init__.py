"""Fast twins of plain compositions: same signature, same values, less work. Only here may NumPy be named."""

from .act_norm import act_norm, act_norm_backward
from .by_samples import add_parts, by_samples
from .conv_act_norm_pool import conv_act_norm_pool, conv_act_norm_pool_backward
from .conv_max_pool import conv_max_pool, conv_max_pool_backward
from .dense_layer import dense_layer, dense_layer_backward
from .depthwise_by_lines import depthwise_by_lines, depthwise_by_lines_backward
from .folded_block import FoldedBlock, folded_block, pointwise_relu6, write_relu6
from .gru_by_length import gru_by_length, gru_by_length_backward
from .gru_on_device import gru_on_device, gru_on_device_backward
from .norm_terms import NormTerm, norm_terms, norm_terms_backward
from .on_device import conv_on_device, conv_on_device_backward, max_pool_on_device, max_pool_on_device_backward
from .softmax_rows import softmax_rows, softmax_rows_backward

__all__ = [
    "FoldedBlock",
    "NormTerm",
    "act_norm",
    "act_norm_backward",
    "add_parts",
    "by_samples",
    "conv_act_norm_pool",
    "conv_act_norm_pool_backward",
    "conv_max_pool",
    "conv_max_pool_backward",
    "conv_on_device",
    "conv_on_device_backward",
    "dense_layer",
    "dense_layer_backward",
    "depthwise_by_lines",
    "depthwise_by_lines_backward",
    "folded_block",
    "gru_by_length",
    "gru_by_length_backward",
    "gru_on_device",
    "gru_on_device_backward",
    "max_pool_on_device",
    "max_pool_on_device_backward",
    "norm_terms",
    "norm_terms_backward",
    "pointwise_relu6",
    "softmax_rows",
    "softmax_rows_backward",
    "write_relu6",
]
