"""Fast twins of plain compositions: same signature, same values, less work. Only here may NumPy be named."""

from .act_norm import act_norm, act_norm_backward
from .by_samples import by_samples
from .conv_act_norm_pool import conv_act_norm_pool, conv_act_norm_pool_backward
from .conv_max_pool import conv_max_pool, conv_max_pool_backward
from .depthwise_by_lines import depthwise_by_lines, depthwise_by_lines_backward
from .folded_block import FoldedBlock, folded_block, pointwise_relu6, write_relu6
from .gru_by_length import gru_by_length, gru_by_length_backward

__all__ = [
    "FoldedBlock",
    "act_norm",
    "act_norm_backward",
    "by_samples",
    "conv_act_norm_pool",
    "conv_act_norm_pool_backward",
    "conv_max_pool",
    "conv_max_pool_backward",
    "depthwise_by_lines",
    "depthwise_by_lines_backward",
    "folded_block",
    "gru_by_length",
    "gru_by_length_backward",
    "pointwise_relu6",
    "write_relu6",
]
