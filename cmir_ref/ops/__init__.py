"""The calculus: one operation a file, forward and backward side by side."""

from . import fused
from .batch_norm import batch_norm, batch_norm_backward
from .conv import conv, conv_backward
from .cosine import cosine, cosine_backward
from .cross_entropy import cross_entropy, cross_entropy_backward
from .depthwise_conv import depthwise_conv, depthwise_conv_backward
from .dropout import dropout, dropout_backward
from .embedding import embedding, embedding_backward
from .frobenius import frobenius, frobenius_backward
from .global_mean import global_mean, global_mean_backward
from .gru import gru, gru_backward
from .gru_cell import gru_cell, gru_cell_backward
from .labels import multi_hot
from .linear import linear, linear_backward
from .max_pool import max_pool, max_pool_backward
from .prelu import prelu, prelu_backward
from .relu import leaky_relu, leaky_relu_backward, relu, relu6, relu6_backward, relu_backward
from .sigmoid import sigmoid, sigmoid_backward
from .sigmoid_cross_entropy import sigmoid_cross_entropy, sigmoid_cross_entropy_backward
from .softmax_attention import softmax_attention, softmax_attention_backward
from .softmax_cross_entropy import softmax_cross_entropy, softmax_cross_entropy_backward
from .strided_conv import strided_conv, strided_conv_backward
from .tanh import tanh, tanh_backward
from .time_mean import time_mean, time_mean_backward
from .unit_rows import unit_rows, unit_rows_backward
from .upsample import upsample, upsample_backward

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "conv",
    "conv_backward",
    "cosine",
    "cosine_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "depthwise_conv",
    "depthwise_conv_backward",
    "dropout",
    "dropout_backward",
    "embedding",
    "embedding_backward",
    "frobenius",
    "frobenius_backward",
    "fused",
    "global_mean",
    "global_mean_backward",
    "gru",
    "gru_backward",
    "gru_cell",
    "gru_cell_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "max_pool",
    "max_pool_backward",
    "multi_hot",
    "prelu",
    "prelu_backward",
    "relu",
    "relu6",
    "relu6_backward",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_cross_entropy",
    "sigmoid_cross_entropy_backward",
    "softmax_attention",
    "softmax_attention_backward",
    "softmax_cross_entropy",
    "softmax_cross_entropy_backward",
    "strided_conv",
    "strided_conv_backward",
    "tanh",
    "tanh_backward",
    "time_mean",
    "time_mean_backward",
    "unit_rows",
    "unit_rows_backward",
    "upsample",
    "upsample_backward",
]
