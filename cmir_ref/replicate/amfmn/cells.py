"""What the tables of AMFMN share: on what they run, and a row of recalls."""

from collections.abc import Mapping, Sequence
from typing import Any

from ... import runs
from ...config import SharedSettings, load_config
from ...data.captions import find_caption_file
from ...errors import InputError
from ...reports.experiment import Line
from ...reports.scores import Score
from ..lab import Lab, Work, shared_space
from ..tables import lead

COLUMNS = {"mr": "mR", "aware": "mR, equal texts counted", "validation": "mR, validation"}
_PLAIN = {
    "word_dropout": 0.2,
    "image_dropout": 0.0,
    "match.average": 0.0,
    "match.light": 0.0,
    "average_views": "false",
}
_SHORT = {"match.epochs": 20, "match.fall_every": 4, **_PLAIN}
WORLDS_OF_CAPTIONS = {
    "small": {
        "scenes": (
            "630 simulated scenes, five sentences each and true keywords",
            ("dataset=scenes", "scenes=630", "split=random", "test_share=0.2", "match.batch_size=32"),
            _SHORT,
        ),
        "ucm": ("UCM-Captions, the parts of its file", ("dataset=captions",), _SHORT),
    },
    "full": {
        "scenes": (
            "2000 simulated scenes, five sentences each and true keywords",
            ("dataset=scenes", "scenes=2000", "split=random", "test_share=0.1"),
            {},
        ),
        "ucm": ("UCM-Captions, the parts of its file", ("dataset=captions",), {}),
    },
}


def worlds_here(lab: Lab) -> dict[str, str]:
    """The data of the lab's scale in words, by name; the real ones need a folder with a caption file."""
    known = WORLDS_OF_CAPTIONS.get(lab.scale.name, WORLDS_OF_CAPTIONS["small"])
    return {name: words for name, (words, *_) in known.items() if name != "ucm" or has_captions(lab.root)}


def has_captions(root: str | None) -> bool:
    """Whether there is a caption file in the folder of the real data."""
    try:
        return root is not None and find_caption_file(root).is_file()
    except InputError:
        return False


def configs_of(lab: Lab, world: str, seeds: Sequence[int], **changes: Any) -> list[SharedSettings]:
    """The settings of a row, one for each seed."""
    _, data, short = WORLDS_OF_CAPTIONS.get(lab.scale.name, WORLDS_OF_CAPTIONS["small"])[world]
    settings = [*data, *(f"{name}={value}" for name, value in {**short, **changes}.items())]
    found = [load_config("image-text", settings, seed=seed) for seed in seeds]
    lab.asked.setdefault(world, []).extend(found)
    return found


def matched(work: Work) -> dict:
    """A run's evaluation, and the mR of its validation part."""
    run = shared_space(work)
    validation = runs.evaluate(run, "validation", queries="validation", device=work.device)
    return runs.evaluate(run, device=work.device) | {"validation_mr": validation["mr"]}


def recall(results: Sequence[Mapping], of: str = "mr") -> Score:
    """A recall over the seeds: "mr", or "aware", where every caption that is word for word an image's counts."""
    return Score(tuple(_recall(r, of) if "mr" in r else None for r in results))


def _recall(result: Mapping, of: str) -> float:
    if of == "aware":
        return result["duplicate_aware"]["mr"]
    return result["validation_mr"] if of == "validation" else result["mr"]


def mr_lead(ours: Sequence[Mapping], theirs: Sequence[Mapping]) -> Score:
    """By how many points of mR ours leads, seed by seed."""
    return lead(recall(ours), recall(theirs), 100)


def recall_line(about: tuple[str, ...], results: Sequence[Mapping], printed: float | None = None) -> Line:
    """A row: mR, the same with equal texts counted, and mR of the validation part."""
    scores = {column: recall(results, column) for column in COLUMNS}
    return Line(about, scores, "–" if printed is None else f"{printed:.2f}")
