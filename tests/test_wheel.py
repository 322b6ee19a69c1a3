"""The built wheel: what it carries, and that it works far from any checkout."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from cmir_ref.data import samples_dir

ROOT = Path(__file__).parents[1]
SHORT = ("stage1.epochs=1", "stage1.batch_size=16", "stage1.average_views=false", "stage2.epochs=1")
TINY = [f"pan-mul.{s}" for s in ("scenes=24", *SHORT)]
TINY += [f"{scenario}.{s}" for scenario in ("image-speech", "photo-sketch") for s in ("scenes=84", *SHORT)]
TINY += ["image-text.scenes=84", "image-text.match.epochs=1"]


def pip(*arguments):
    """pip's output; skips where the package registry is out of reach."""
    done = subprocess.run([*arguments], capture_output=True, text=True)
    if "No matching distribution found" in done.stderr or "Could not find a version" in done.stderr:
        pytest.skip(f"no package registry within reach: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "-w", str(folder))
    return next(folder.glob("*.whl"))


def test_it_carries_presets_template_and_samples(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"cmir_ref/_samples/{f.relative_to(samples_dir())}" for f in samples_dir().rglob("*") if f.is_file()}
    patterns = ("*.py", "*.toml", "*.html*", "*.css", "*.js", "*.json")
    package = {str(f.relative_to(ROOT)) for pattern in patterns for f in (ROOT / "cmir_ref").rglob(pattern)}
    assert any(".html" in name for name in package) and any(name.endswith(".toml") for name in package)
    assert shipped | package <= names


def test_installed_in_a_fresh_environment_it_runs_doctor_and_demo_from_an_empty_folder(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    scripts = tmp_path / "env" / "bin"
    options = ("--quiet", "--no-compile")  # Python compiles what it imports, a small part of what is installed
    pip(scripts / "python", "-m", "pip", "install", *options, str(wheel))
    empty = tmp_path / "empty"
    empty.mkdir()
    own = {"CMIR_CACHE": str(tmp_path / "cache"), "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}

    def command(*words):
        done = subprocess.run([scripts / "cmir-ref", *words], cwd=empty, env=own, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert command("doctor", "--json")
    found = command("demo", "--json", *(word for change in TINY for word in ("--set", change)))
    assert found.keys() == {"pan-mul", "image-speech", "photo-sketch", "image-text", "seconds"}
    assert [p.name for p in empty.iterdir()] == ["runs"]
    assert (empty / "runs" / "demo" / "report.html").stat().st_size > 500_000
