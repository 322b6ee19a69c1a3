"""CMIR-NET's settings, on top of those that every system has.

A comment that names "paper" or "code" says what the paper or its released code does.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ..config import Looks, Schedule, SettingsTable, SharedSettings, SoftLabels, check_looks, check_protocol, idle_of

OF_SOUNDS = ("stage1.voices", "stage1.sound_passes", "stage1.average_tempos")
OF_PENALTY = ("orthogonality.scaled", "orthogonality.before_relu")  # beside its target and its weight
OF_EQ_1 = ("normalise_features", "stage1.dropout", "stage1.label_loss", "stage1.sound_passes", "orthogonality")
OF_EQ_7 = ("alpha", "alpha_reading", "regularized_layers")


class OrthogonalitySettings(SettingsTable):
    """The second term of eq. 1."""

    target: Literal["identity", "ones", "off"] = "identity"  # ones: the literal text; off: code
    weight: float = Field(1.0, ge=0)  # of that term; 0 leaves it out
    scaled: bool = False  # ‖ZᵀZ/N − I‖² instead of ‖ZᵀZ − I‖²
    before_relu: bool = False  # on Z before its ReLU


class WeightSettings(SettingsTable):
    """The weights of eq. 6, each named after the term that it multiplies, and that of a term of ours."""

    alignment: float = Field(1.0, ge=0)  # λ₁, of L₂
    classification: float = Field(1.0, ge=0)  # λ₂, of L₃
    feature_norm: float = Field(1.0, ge=0)  # λ₃, of L₄
    reconstruction: float = Field(1.0, ge=0)  # λ₄, of L₅
    regulariser: float = Field(1.0, ge=0)  # λ₅, of R
    contrastive: float = Field(0.0, ge=0)  # of a term of ours: in a batch, each finds its partner; needs no labels


class Stage1Schedule(SoftLabels, Looks, Schedule):
    """The pretrainers."""

    augment: bool = True  # flips and quarter turns of images, small shifts of sounds in time and pitch
    voices: bool = False  # recordings are augmented as other voices in other rooms would have said them
    redraw: Literal["auto", "yes", "no"] = "auto"  # sketches, as by other hands; no: as images are; auto: no if traced
    sound_passes: int = Field(1, ge=1)  # over the recordings in an epoch, each time augmented anew: they are few
    average_views: bool = False  # features of an image are the mean over those flips and turns; lite0: over trunk_views
    average_tempos: bool = False  # features of a recording are the mean over it as it is, slower and faster
    dropout: float = Field(0.5, ge=0, lt=1)  # between Z and the classifier of eq. 1
    label_loss: Literal["softmax", "sigmoid", "by-modality"] = "by-modality"  # as label_loss, in eq. 1
    hidden: tuple[
        Annotated[int, Field(ge=1)], ...
    ] = ()  # widths between ready-made vectors and Z: 512 for 4096 → 512 → 128


class Stage2Schedule(Schedule):
    """The latent network."""

    feature_dropout: float = Field(0.0, ge=0, lt=1)  # of Z, or of vectors in its place; not in paper or code
    graph: bool = False  # --device cuda: each step is one CUDA graph, same values; not yet proven on a GPU


class CmirnetSettings(SharedSettings):
    """Every setting of a run of CMIR-NET."""

    scenario: Literal["pan-mul", "image-speech"]  # a is PAN and b MUL, or a is the image and b speech

    d_z: int = Field(128, ge=1)  # width of the features Z
    d_v: int = Field(64, ge=1)  # width of the embeddings V; paper and code: 64 for pan-mul, 128 for image-speech
    normalise_inputs: Literal["standardise", "centre", "none"] = "standardise"  # none: code
    normalise_sounds: Literal["set", "recording", "level", "bands"] = (
        "set"  # each by itself; its top 45 dB; by bands, too
    )
    normalise_features: Literal["standardise", "scale", "unit", "none"] = "none"  # of Z, before stage 2; unit: each z
    bias_init: Literal["zero", "xavier"] = "zero"  # xavier: code

    block_order: Literal["conv-pool-act-norm", "conv-act-norm-pool"] = "conv-pool-act-norm"  # paper, code
    batch_norm: Literal["train", "frozen"] = "train"  # frozen: code
    fused: bool = True  # the fast twins of ops/fused; False: the plain operations, same values
    orthogonality: OrthogonalitySettings = OrthogonalitySettings()

    encoder_depth: int = Field(3, ge=1)  # paper 3, code 1
    decoder_depth: int = Field(3, ge=1)  # paper 3, code 1
    encoder_activation: Literal["relu", "hidden", "linear"] = "relu"  # relu: paper and code; hidden: V is linear
    decoder_activation: Literal["relu", "hidden", "linear"] = "relu"  # likewise
    latent_dropout: Literal["none", "a", "b", "both"] = "none"  # code: a (PAN) for pan-mul, b (speech) for image-speech
    classifier: Literal["shared", "concatenated", "separate"] = "shared"  # separate: code
    label_loss: Literal["softmax", "sigmoid", "by-modality"] = "softmax"  # by-modality: sigmoid where multi-label
    head_decay: float = Field(0.0, ge=0)  # of ‖w‖² of classifier and decoders; not in paper or code

    weights: WeightSettings = WeightSettings()
    reduction: Literal["sum", "mean"] = "mean"  # of L₂, L₄, L₅ over the pairs of a batch; sum: as printed
    decoder_target: Literal["cross", "own"] = "cross"  # own: speech code
    target_gradient: Literal["stop", "flow"] = "stop"  # whether Z learns as a decoder's target; flow: speech code
    temperature: float = Field(0.1, gt=0)  # of the contrastive term: cosines are divided by it
    frobenius: Literal["squared", "unsquared"] = "squared"  # unsquared: code
    alpha: float = Field(0.0, ge=0)  # of eq. 7; paper: 0 for DSRSID, 1 for UC Merced
    alpha_reading: Literal["elementwise", "norm", "released"] = "norm"  # elementwise: paper; released: code; norm: ours
    regularized_layers: Literal["all", "last"] = "all"  # encoder matrices that enter R; last: code

    stages: Literal["separate", "joint", "end-to-end"] = "separate"  # joint: speech code; end-to-end: without eq. 1
    update: Literal["together", "alternating"] = "together"  # alternating: Algorithm 1
    stage1: Stage1Schedule = Stage1Schedule()
    stage2: Stage2Schedule = Stage2Schedule()

    def idle(self, data: Any) -> dict[str, str]:
        """As for every system, and the settings of kinds of samples, networks and losses that are not there."""
        kinds = {modality.kind for modality in data.modalities.values()}
        by_conv = "sound" in kinds or (self.trunk == "conv" and kinds != {"features"})
        penalty = self.orthogonality.target != "off" and self.orthogonality.weight > 0
        at_once, schedule = self.stages == "end-to-end", [f"stage1.{name}" for name in Schedule.model_fields]
        return (
            super().idle(data)
            | idle_of("recordings", "sound" not in kinds, "normalise_sounds", *OF_SOUNDS)
            | idle_of("sketches", "sketch" not in kinds, "stage1.redraw")
            | idle_of("ready-made vectors", "features" not in kinds, "stage1.hidden")
            | idle_of("the convolution network", not by_conv, "block_order", "batch_norm", "fused")
            | idle_of("the contrastive term, whose weight is 0", not self.weights.contrastive, "temperature")
            | idle_of("the orthogonality term, which is off", not penalty, *OF_PENALTY)
            | idle_of("eq. 7, whose weight is 0", not self.weights.regulariser, *OF_EQ_7)
            | idle_of("eq. 1, which end-to-end leaves out", at_once, *schedule, *OF_EQ_1)
        )

    @property
    def needs_labels(self) -> str:
        """Stage 1 where it is trained by itself, for eq. 1 classifies, and eq. 3."""
        if self.stages != "end-to-end":
            return f"stages {self.stages} classifies in stage 1; set stages=end-to-end"
        return "weights.classification is not 0; set weights.classification=0" if self.weights.classification else ""

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weights of eq. 1 and eq. 6."""
        return self.weights.model_dump() | {
            "orthogonality": self.orthogonality.weight,
            "head_decay": self.head_decay,
        }

    @model_validator(mode="after")
    def _fit_together(self):
        if self.scenario == "pan-mul" and self.dataset != "pairs" and self.image_size != 256:
            raise ValueError("image_size is the side of PAN, 256, in scenario pan-mul")
        check_protocol(self, self.scenario == "image-speech")
        check_looks(self.stage1, self.trunk, self.trunk_training, "stage1")
        for name, on, off in (("voices", True, "false"), ("redraw", "yes", "auto")):
            if getattr(self.stage1, name) == on and not self.stage1.augment:
                of = f"stage1.{name} is a part of augment"
                raise ValueError(f"{of}: set stage1.augment=true, or stage1.{name}={off}")
        if self.stage1.redraw == "yes" and self.trunk == "lite0" and self.trunk_training != "all":
            raise ValueError("stage1.redraw: sketches have gone through a frozen part of lite0: set stage1.redraw=auto")
        if self.stages == "end-to-end" and (self.stage1.mix_up or self.stage1.label_smoothing):
            both = "stage1.mix_up and stage1.label_smoothing"
            raise ValueError(f"{both} are of eq. 1, which end-to-end leaves out: set both to 0")
        if self.trunk == "lite0" and self.trunk_training != "frozen" and self.stages != "separate":
            raise ValueError(f"trunk_training {self.trunk_training} is a part of stage 1: it needs stages = separate")
        return self
