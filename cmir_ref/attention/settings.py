"""The settings of the photo–sketch system, on top of CMIR-NET's: it is CMIR-NET with an attention before stage 2.

No formula of the attention is public: every value but "none" is a reconstruction (see the files of this folder).
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from ..cmirnet.settings import CmirnetSettings
from ..config import idle_of

ACTS_IN = {  # settings of a part that not every attention has, and those that have it
    "attended_inference": ("channel", "spatial", "mask"),
    "gate_pairs": ("channel", "spatial", "mask"),
    "gate_residual": ("channel", "self", "mask"),
}


class AttentionSettings(CmirnetSettings):
    """CMIR-NET's settings; a is the photo and b the sketch. Those that follow are added or narrowed."""

    system: str = "attention"
    scenario: Literal["photo-sketch"]  # a is the photo and b the sketch
    stages: Literal["separate"] = "separate"  # the gate learns on features and maps that stage 1 has made
    distance: Literal["euclidean", "cosine", "released"] = "cosine"  # ours: real sketches have shorter features
    attention: Literal["none", "channel", "self", "spatial", "mask"] = (
        "channel"  # R1, a control, R2, R3; none: CMIR-NET
    )
    attended_inference: Literal["mean", "pair", "random", "matched"] = (
        "mean"  # which sketch attends; matched: label leak
    )
    gate_pairs: Literal["same-class", "half-any"] = "same-class"  # the sketch that attends in training; of any class
    gate_residual: bool = True  # 1 + a as in the public code of a sibling; false: a, as in FusAtNet
    gate_width: int = Field(64, ge=1)  # columns of queries and keys, where attention is spatial

    def idle(self, data: Any) -> dict[str, str]:
        """As for CMIR-NET, and the width of what only spatial attention has."""
        return super().idle(data) | idle_of("attention spatial", self.attention != "spatial", "gate_width")

    @model_validator(mode="after")
    def _maps_fit(self):
        if self.attention in ("spatial", "mask") and self.normalise_features not in ("scale", "none"):
            raise ValueError(f"normalise_features is scale or none where attention is {self.attention}")
        if self.attention in ("spatial", "mask") and self.trunk != "conv":
            raise ValueError(f"trunk is conv where attention is {self.attention}: it reads the maps of that network")
        if self.attention in ("spatial", "mask") and self.stage1.average_views:
            of = f"stage1.average_views is a mean of features, and attention {self.attention} reads maps"
            raise ValueError(f"{of}: set stage1.average_views=false")
        for name, kinds in ACTS_IN.items():
            off = AttentionSettings.model_fields[name].default
            if self.attention not in kinds and getattr(self, name) != off:
                which = f"{', '.join(kinds)}, and attention is {self.attention}"
                raise ValueError(f"{name} is of attention {which}: set {name}={str(off).lower()}")
        return self
