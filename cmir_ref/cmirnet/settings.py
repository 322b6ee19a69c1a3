"""CMIR-NET's settings, on top of those that every system has.

A comment that names "paper" or "code" marks a setting on which the paper and its released code disagree.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..config import Schedule, SettingsTable, SharedSettings


class OrthogonalitySettings(SettingsTable):
    """The second term of eq. 1."""

    target: Literal["identity", "ones", "off"] = "identity"  # ones: the literal text; off: code
    weight: float = Field(1.0, ge=0)
    scaled: bool = False  # ‖ZᵀZ/N − I‖² instead of ‖ZᵀZ − I‖²
    before_relu: bool = False


class WeightSettings(SettingsTable):
    """The weights of eq. 6, each named after the term that it multiplies."""

    alignment: float = Field(1.0, ge=0)  # λ₁, of L₂
    classification: float = Field(1.0, ge=0)  # λ₂, of L₃
    feature_norm: float = Field(1.0, ge=0)  # λ₃, of L₄
    reconstruction: float = Field(1.0, ge=0)  # λ₄, of L₅
    regulariser: float = Field(1.0, ge=0)  # λ₅, of R


class Stage1Schedule(Schedule):
    """The pretrainers."""

    augment: bool = True  # flips and quarter turns of images, small shifts of sounds in time and pitch
    average_views: bool = False  # features are the mean over those flips and turns
    dropout: float = Field(0.5, ge=0, lt=1)  # between Z and the classifier of eq. 1
    label_loss: Literal["softmax", "sigmoid", "by-modality"] = "by-modality"  # as below, in eq. 1
    hidden: tuple[
        Annotated[int, Field(ge=1)], ...
    ] = ()  # widths between ready-made vectors and Z: 512 for 4096 → 512 → 128


class Stage2Schedule(Schedule):
    """The latent network."""

    feature_dropout: float = Field(0.0, ge=0, lt=1)  # of Z, as input and as target; not in paper or code


class CmirnetSettings(SharedSettings):
    """Every setting of a run of CMIR-NET."""

    scenario: Literal["pan-mul", "image-speech"]

    d_z: int = Field(128, ge=1)
    d_v: int = Field(64, ge=1)
    normalise_inputs: Literal["standardise", "centre", "none"] = "standardise"  # none: code
    normalise_features: Literal["standardise", "scale", "none"] = "none"  # of Z, before stage 2
    bias_init: Literal["zero", "xavier"] = "zero"  # xavier: code

    block_order: Literal["conv-pool-act-norm", "conv-act-norm-pool"] = "conv-pool-act-norm"  # paper, code
    batch_norm: Literal["train", "frozen"] = "train"  # frozen: code
    fused: bool = True  # the fast twins of ops/fused; False: the plain operations, same values
    orthogonality: OrthogonalitySettings = OrthogonalitySettings()

    encoder_depth: int = Field(3, ge=1)  # paper 3, code 1
    decoder_depth: int = Field(3, ge=1)  # paper 3, code 1
    encoder_activation: Literal["relu", "hidden", "linear"] = "relu"  # relu: paper and code; hidden: V is linear
    decoder_activation: Literal["relu", "hidden", "linear"] = "relu"
    latent_dropout: Literal["none", "a", "b", "both"] = "none"  # code: a (PAN) for pan-mul, b (speech) for image-speech
    classifier: Literal["shared", "concatenated", "separate"] = "shared"  # separate: code
    label_loss: Literal["softmax", "sigmoid", "by-modality"] = "softmax"  # by-modality: sigmoid where multi-label
    head_decay: float = Field(0.0, ge=0)

    weights: WeightSettings = WeightSettings()
    reduction: Literal["sum", "mean"] = "mean"
    decoder_target: Literal["cross", "own"] = "cross"  # own: speech code
    target_gradient: Literal["stop", "flow"] = "stop"
    frobenius: Literal["squared", "unsquared"] = "squared"  # unsquared: code
    alpha: float = Field(0.0, ge=0)
    alpha_reading: Literal["elementwise", "norm", "released"] = "norm"
    regularized_layers: Literal["all", "last"] = "all"

    stages: Literal["separate", "joint", "end-to-end"] = "separate"  # joint: speech code; end-to-end: ablation
    update: Literal["together", "alternating"] = "together"  # alternating: Algorithm 1
    stage1: Stage1Schedule = Stage1Schedule()
    stage2: Stage2Schedule = Stage2Schedule()

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weights of eq. 1 and eq. 6."""
        return self.weights.model_dump() | {
            "orthogonality": self.orthogonality.weight,
            "head_decay": self.head_decay,
        }

    @model_validator(mode="after")
    def _fit_together(self):
        if self.scenario == "pan-mul" and self.image_size != 256:
            raise ValueError("image_size is the side of PAN, 256, in scenario pan-mul")
        if self.scenario == "pan-mul" and self.protocol in ("voices", "recordings"):
            raise ValueError(f"protocol {self.protocol} holds out recordings; pan-mul splits its pairs: use auto")
        return self
