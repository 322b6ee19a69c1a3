"""What runs on a GPU when there is one is ready: its dry run ends well here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("first_run.sh")
PARTS = {
    "doctor": "stage 2: differs from NumPy's by 0.0e+00",
    "launches": "latent/3: ",
    "bench": "cuda/epoch/mul/stage 1 batch by batch",
}


@pytest.mark.skipif(sys.platform != "linux", reason="timeout is Linux'")
def test_a_dry_run_on_numpy(tmp_path):
    told = os.environ | {"PYTHON": sys.executable, "ONLY": " ".join(PARTS), "WORK": str(tmp_path)}
    done = subprocess.run(["bash", SCRIPT, tmp_path / "out", "--dry"], env=told, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, said in PARTS.items():
        assert said in (tmp_path / "out" / f"{name}.log").read_text(), name
    assert len((tmp_path / "out" / "steps.log").read_text().splitlines()) == 10
    failed = subprocess.run(["bash", SCRIPT, tmp_path / "two", "--dry"], env=told | {"PYTHON": "false"})
    assert failed.returncode == 1
