"""Photo ↔ sketch with attention, after Chaudhuri, Banerjee, Bhattacharya & Datcu, IGARSS 2021: a reconstruction.

Public are the abstract, the slides of the talk, and repositories of the same authors; no formula of the attention is.
Every form in this folder is a reconstruction, and names what it was made from.
"""

from .cross_attention import cross_attention, cross_attention_backward
from .gate import channel_gate, channel_gate_backward, spatial_mask, spatial_mask_backward

__all__ = [
    "channel_gate",
    "channel_gate_backward",
    "cross_attention",
    "cross_attention_backward",
    "spatial_mask",
    "spatial_mask_backward",
]
