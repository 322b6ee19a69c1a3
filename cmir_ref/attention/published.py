"""What the talk of 2021 printed, in per cent: (mAP, P@10) at d_v = 128, a the photo and b the sketch.

Source: the slides of the talk at IGARSS 2021; Earth on Canvas (14 classes of 100 photos and 100 sketches). Which
network is behind it we do not know: the authors' repository of that data set has ImageNet's ResNet-50 for both.
Its bar chart of the precision at 50 by class is public as a picture alone, without numbers.
"""

TALK = {
    "CMIR-NET": {"b->a": (73.2, 75.6), "a->b": (69.6, 70.8)},
    "attention": {"b->a": (75.3, 78.4), "a->b": (72.3, 74.5)},
}
