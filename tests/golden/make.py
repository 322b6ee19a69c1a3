"""pip install -e '.[oracle]' && python tests/golden/make.py    makes golden.safetensors.gz and fingerprints.json.

Values and gradients are PyTorch's, in float64, by the twins of tests/oracle_torch.py; so are the ten steps' losses.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from golden import stored, ten_steps
from oracle_torch import oracle, train

from cmir_ref.checks import CHECKS, Check
from cmir_ref.gradcheck.numeric import random_direction


def case(check: Check) -> stored.Case:
    """The golden values of one declaration, on the inputs with which `cmir-ref gradcheck` runs it."""
    rng = np.random.default_rng([0, *check.name.encode()])
    recorder = stored.Recorder(rng)
    pair = check.draw(recorder)
    y, _ = oracle(check.covers, pair, pair.inputs)
    dy = [random_direction(rng, np.shape(part)) for part in y]
    settings = stored.said(stored.settings(pair.forward))
    return stored.Case(settings, recorder.draws, pair.inputs, dy, *oracle(check.covers, pair, pair.inputs, dy))


def main() -> None:
    """Writes both files."""
    stored.write({check.name: case(check) for check in CHECKS})
    prints = {}
    for name in ten_steps.RUNS:
        run = ten_steps.run(name)
        prints[name] = {"drawn": ten_steps.drawn(run), "losses": train(run)}
    lines = (f"{json.dumps(name)}: {json.dumps(found)}" for name, found in prints.items())
    stored.FINGERPRINTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    main()
