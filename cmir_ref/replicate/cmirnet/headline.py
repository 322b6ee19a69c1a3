"""The headline figures: the default reading in each world, over all seeds, as README shows them.

Where Tables 1 and 3 choose the default's weights, their cells are these: after them nothing is trained here.
"""

from ...cmirnet.published import TABLE1, TABLE3
from ...reports.experiment import Experiment, Table
from ...reports.scores import Score
from ..lab import Lab, run_groups, space
from ..tables import CROSS, METRICS, score, table_row, train_command, words

PRINTED = {"tiles": TABLE1[64], "real": {}, "imagenet": {}, "released": TABLE3[64]}  # paper: all voices were heard
COLUMNS = METRICS | {"worst": "worst average precision", "seeds": "seeds"}


def headline(lab: Lab) -> Experiment:
    """The default reading at the lab's scale, with the date and the machine of its cells."""
    worlds = [w for w in PRINTED if w in lab.worlds]
    configs = {w: [lab.config(w, s) for s in lab.seeds] for w in worlds}
    rows = run_groups(lab, space, configs, "headline")

    def row(w, m):
        values, command = score(rows[w], m), train_command(configs[w][0])
        worst = Score((min(values.there, default=None),))
        more = {"worst": worst, "seeds": str(len(values.there)), "command": command}
        return table_row((lab.scale.worlds[w].words, words(m, w)), rows[w], m, PRINTED[w].get(m), **more)

    table = Table(("data", "direction"), COLUMNS, tuple(row(w, m) for w in worlds for m in CROSS))
    origins = {name: sorted({one["origin"][name] for one in lab.read.values()}) for name in ("date", "machine", "blas")}
    return Experiment("headline", {"worlds": table}, facts={"origins": origins, "seeds": len(lab.seeds)})
