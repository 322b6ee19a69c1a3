"""CMIR-NET (Chaudhuri et al., 2020): a file for each equation, the latent network, and how both stages are trained."""

from .contrastive import Contrast, contrastive, contrastive_backward
from .eq1_pretraining import (
    pretraining_loss,
    pretraining_loss_backward,
    soft_orthogonality,
    soft_orthogonality_backward,
)
from .eq2_alignment import alignment, alignment_backward
from .eq3_classification import classification, classification_backward
from .eq4_feature_norm import feature_norm, feature_norm_backward
from .eq5_reconstruction import reconstruction, reconstruction_backward
from .eq6_total import LatentOutput, Readings, Weights, total, total_backward
from .eq7_regulariser import regulariser, regulariser_backward

__all__ = [
    "Contrast",
    "LatentOutput",
    "Readings",
    "Weights",
    "alignment",
    "alignment_backward",
    "classification",
    "classification_backward",
    "contrastive",
    "contrastive_backward",
    "feature_norm",
    "feature_norm_backward",
    "pretraining_loss",
    "pretraining_loss_backward",
    "reconstruction",
    "reconstruction_backward",
    "regulariser",
    "regulariser_backward",
    "soft_orthogonality",
    "soft_orthogonality_backward",
    "total",
    "total_backward",
]
