"""Table VI: the model put together part by part, on simulated scenes whose keywords are true."""

from ...amfmn.published import TABLE6
from ...reports.experiment import Experiment, Table
from ..claims import judge_claims
from ..lab import Lab, run_groups
from .cells import COLUMNS, configs_of, matched, mr_lead, recall_line, worlds_here

PLAIN, MASKED = {"mvsa": "false", "attention": "none"}, {"attention": "none"}
MODELS = {  # the paper's name: what it is made of, the settings
    "m1": ("v + s", {**PLAIN, "text": "sentence"}),
    "m2": ("v + k", {**PLAIN, "text": "keywords"}),
    "m3": ("F_v + s", {**MASKED, "text": "sentence"}),
    "m4": ("F_v + k", {**MASKED, "text": "keywords"}),
    "m5": ("F_v + s + k", {**MASKED, "text": "both", "fusion": "fixed"}),
    "m6": ("F_v + s guided", {"text": "sentence"}),
    "m7": ("F_v + k guided", {"text": "keywords"}),
    "m8": ("F_v + both guided, fixed weights", {"text": "both", "fusion": "fixed"}),
    "m9": ("F_v + both guided, gate", {"text": "both"}),
}
TEXTS = {"sentence": ("m1", "m3", "m6"), "keywords": ("m2", "m4", "m7")}  # plain, masked, guided


def components(lab: Lab) -> Experiment:
    """Table VI at the lab's scale."""
    configs = {m: configs_of(lab, "scenes", lab.seeds, **changes) for m, (_, changes) in MODELS.items()}
    rows = run_groups(lab, matched, configs, "components")
    lines = tuple(recall_line((m, words), rows[m], TABLE6[m]) for m, (words, _) in MODELS.items())
    return Experiment(
        "components",
        {"components": Table(("model", "made of"), COLUMNS, lines)},
        (),
        judge_claims(
            "components",
            mvsa={(t,): mr_lead(rows[masked], rows[plain]) for t, (plain, masked, _) in TEXTS.items()},
            attention={(t,): mr_lead(rows[guided], rows[masked]) for t, (_, masked, guided) in TEXTS.items()},
            gate={(): mr_lead(rows["m9"], rows["m8"])},
        ),
        {"words": worlds_here(lab)["scenes"]},
    )
