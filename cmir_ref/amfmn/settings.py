"""AMFMN's settings, on top of those that every system has.

A comment that names "paper" or "code" says what the paper or its released code does.
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from ..config import Looks, Schedule, SettingsTable, SharedSettings, SoftLabels, check_looks, check_protocol, idle_of
from .eq29_margin import LARGEST_BETA


class MarginSettings(SettingsTable):
    """The margin of the triplet loss (eq. 29), and the prior similarity of captions that it looks at."""

    kind: Literal["dynamic", "fixed"] = "dynamic"  # dynamic: paper; fixed: code
    gamma: float = Field(0.6, ge=0)  # its height; paper 0.6, code 0.2
    beta: float = Field(5.0, ge=0, le=LARGEST_BETA)  # how long it stays there; paper 5
    prior: Literal["bleu-meteor", "bleu-entity"] = "bleu-entity"  # paper (weights: one half each); code
    stop_words: Literal["before", "after"] = "before"  # left out before or after stemming, where few are known; code


class LabelsSchedule(SoftLabels, Schedule):
    """The trunk's own first stage, on the labels, where `pretrain` asks for it."""

    epochs: int = Field(30, ge=1)  # passes over the training part
    target: Literal["labels", "classes"] = "labels"  # what it learns: all of an image's labels, or which class it is of


class MatchSchedule(Looks, Schedule):
    """Images and texts together; images are seen in the same way while the trunk learns the labels."""

    epochs: int = Field(60, ge=1)  # passes over the training images; paper 150, code 70 over captions
    schedule: Literal["constant", "cosine", "steps"] = "steps"  # steps: paper and code
    fall_every: int = Field(12, ge=1)  # epochs until lr falls to 0.7 of itself, in schedule steps; paper, code 20


class AmfmnSettings(SharedSettings):
    """Every setting of a run of AMFMN."""

    scenario: Literal["image-text"]  # a is the image and b its captions
    distance: Literal["cosine"] = "cosine"  # 1 minus that of an image and the text as the image reads it

    text: Literal["sentence", "keywords", "both"] = "sentence"  # what a query of b says
    vocabulary: Literal["train", "all"] = "train"  # whose words are learned; all: code
    min_count: int = Field(2, ge=1)  # rarer words are unknown; code 5
    stop_words: Literal["kept", "unknown"] = "kept"  # unknown: code

    trunk: Literal["small", "conv", "wide", "lite0"] = "small"  # conv: the pretrainer's blocks; lite0: ImageNet's
    trunk_width: int = Field(1, ge=1)  # factor of the trunk's channels
    maps: Literal[4, 5] = 4  # of small and lite0; paper 5, three of them low; code 4, two of them low
    upsampling: Literal["nearest", "bilinear"] = "nearest"  # nearest: code
    pretrain: bool = False  # the trunk learns the labels first
    d: int = Field(64, ge=1)  # of all vectors that are compared; paper and code 512
    word_width: int = Field(48, ge=1)  # of word vectors; paper 300, code 620
    map_channels: int = Field(3, ge=1)  # of either convolved map; code 3

    average_views: bool = False  # an image's vector is the mean over its flips and turns; of lite0: over trunk_views
    mvsa: bool = True  # an image's maps mask its vector
    map_activation: Literal["prelu", "none"] = "prelu"  # prelu: paper; none: code
    unit_maps: bool = True  # L2 before the 1 × 1 convolutions; False: code
    residual: Literal["raw", "convolved"] = "raw"  # whose mean is added; raw: paper; convolved: code
    sentence: Literal["mean", "last"] = "mean"  # mean of both directions: paper; last state of one, rectified: code
    reset: Literal["after", "before"] = "after"  # where the GRU's reset gate acts; after: code
    attention: Literal["none", "soft", "fusion", "vector", "scalar"] = "soft"  # vector, scalar: "sim" of code, paper
    fusion: Literal["gate", "fixed"] = "gate"  # of a sentence and keywords
    unit_texts: bool = True  # L2 before the fusion: figure 2 and code; False: eq. 27
    word_dropout: float = Field(0.0, ge=0, lt=1)  # of the word vectors of sentences, not of keywords
    image_dropout: float = Field(0.0, ge=0, lt=1)  # of the image's vector before its mask

    margin: MarginSettings = MarginSettings()
    negatives: Literal["all", "hardest"] = "all"  # all: code
    own_captions: Literal["kept", "masked"] = "masked"  # as negatives of an image; kept: code
    loss: Literal["sum", "mean"] = "sum"  # over the pairs of a batch; sum: code
    ties: Literal["expected", "released"] = "expected"  # in a search, not in validation; released: last index first
    labels: LabelsSchedule = LabelsSchedule()
    match: MatchSchedule = MatchSchedule()

    @model_validator(mode="after")
    def _fit_together(self):
        check_protocol(self)
        check_looks(self.match, self.trunk, self.trunk_training, "match")
        if self.trunk not in ("small", "lite0") and self.maps != 4:
            raise ValueError(f"maps {self.maps} are those of small and lite0; leave it at 4 for trunk {self.trunk}")
        if self.trunk == "lite0" and self.trunk_width != 1:
            raise ValueError(f"trunk_width {self.trunk_width} is of a trunk that learns; leave it at 1 for trunk lite0")
        if self.trunk == "lite0" and self.upsampling != "nearest":
            raise ValueError("upsampling is of maps of several sizes, and lite0's are of one; leave it at nearest")
        if self.trunk == "lite0" and (self.pretrain or self.trunk_training != "frozen"):
            raise ValueError("trunk lite0 is frozen in AMFMN: leave pretrain false and trunk_training frozen")
        return self

    def idle(self, data: Any) -> dict[str, str]:
        """As for every system, and the settings of parts of the network and of the margin that are not there."""
        fixed = self.margin.kind == "fixed"
        return (
            super().idle(data)
            | idle_of("stage labels, which pretrain adds", not self.pretrain, "labels")
            | idle_of("mvsa, which is off", not self.mvsa, "maps", "map_channels", "map_activation", "unit_maps")
            | idle_of("mvsa, which is off", not self.mvsa, "residual", "upsampling")
            | idle_of("sentences, of which a query has none", self.text == "keywords", "sentence")
            | idle_of("sentences beside keywords", self.text != "both", "fusion", "unit_texts")
            | idle_of("a margin that looks at captions", fixed, "margin.beta", "margin.prior", "margin.stop_words")
            | idle_of("schedule steps", self.match.schedule != "steps", "match.fall_every")
        )

    @property
    def reads_maps(self) -> bool:
        """Of a frozen trunk all maps are read."""
        return True
