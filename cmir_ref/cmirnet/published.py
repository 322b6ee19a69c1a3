"""What the paper printed, in per cent: its four tables and two figures, as (mAP, P@10) unless said otherwise.

The paper's "mAP" is the released MATLAB's mean of the precisions at 10, 20, …: `mean_precision_at_tens` here. Fig. 4's
image bars mix the two figures (docs/paper_and_code.md). Source: Chaudhuri et al., Pattern Recognition Letters 131
(2020); Fig. 3 and 4 from the released `createfigure.m` and `KNNcode.m`, which draw them.
"""

TABLE1 = {  # DSRSID: {d_v: {direction}}, a is PAN and b is MUL
    16: {"a->b": (95.52, 97.10), "b->a": (98.77, 99.00), "a->a": (99.41, 99.82), "b->b": (99.55, 99.69)},
    32: {"a->b": (98.96, 98.99), "b->a": (97.95, 97.99), "a->a": (98.11, 98.40), "b->b": (98.18, 98.60)},
    64: {"a->b": (99.05, 99.40), "b->a": (98.93, 98.60), "a->a": (98.69, 99.40), "b->b": (98.25, 98.40)},
}
TABLE2 = {  # DSRSID: {comparator: {bits or d_v: {direction: mAP}}}
    "SCM": {16: {"a->b": 34.72, "b->a": 36.71}, 32: {"a->b": 37.67, "b->a": 38.71}},
    "DCMH": {16: {"a->b": 80.76, "b->a": 80.23}, 32: {"a->b": 85.09, "b->a": 84.45}},
    "SIDHCNN": {16: {"a->b": 95.53, "b->a": 97.25}, 32: {"a->b": 96.43, "b->a": 97.89}},
    "CMIR-NET": {16: {"a->b": 95.52, "b->a": 98.77}, 32: {"a->b": 98.96, "b->a": 97.95}},
}
TABLE3 = {  # UC Merced and speech: {d_v: {direction}}, a is the image and b the spoken word
    32: {"a->b": (29.67, 60.91), "b->a": (21.60, 40.11)},
    64: {"a->b": (41.60, 63.15), "b->a": (42.36, 51.29)},
    128: {"a->b": (62.11, 64.81), "b->a": (54.21, 56.00)},
}
TABLE4 = {  # the same at d_v = 128: {α: {direction}}
    0: {"a->b": (0.0, 0.0), "b->a": (0.0, 0.0)},
    1: {"a->b": (62.11, 64.81), "b->a": (54.21, 56.00)},
    2: {"a->b": (32.09, 52.77), "b->a": (33.64, 45.01)},
}
FIG3 = {  # DSRSID: precision at 50 of each class
    "aquafarm": {"b->a": 99.6, "a->b": 99.5},
    "cloud": {"b->a": 99.9, "a->b": 99.8},
    "forest": {"b->a": 100.0, "a->b": 100.0},
    "high building": {"b->a": 99.6, "a->b": 99.5},
    "low building": {"b->a": 99.4, "a->b": 99.5},
    "farmland": {"b->a": 99.7, "a->b": 99.8},
    "river": {"b->a": 99.9, "a->b": 99.9},
    "water": {"b->a": 100.0, "a->b": 100.0},
}
FIG4 = {  # {what is left out: {world: figure}}: PAN → MUL, and image → speech
    "L2": {"tiles": 6.00, "places": 1.01},
    "L5": {"tiles": 12.40, "places": 7.88},
    "L3": {"tiles": 94.18, "places": 60.71},
    "nothing": {"tiles": 99.05, "places": 64.81},
}
