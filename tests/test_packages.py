"""Versions are said where packages are installed, and nothing fails where they are not."""

import numpy as np
import worlds

from cmir_ref import packages, runs
from cmir_ref.doctor import examine


def test_what_is_installed_and_what_is_not():
    assert packages.installed("numpy") == np.__version__
    assert packages.installed("no-such-package") == "not installed"


def test_a_checkout_that_is_not_installed_trains(tmp_path, monkeypatch):
    """As on a machine without pip's help: the run's config.toml says so, and so does `doctor`."""
    found = packages.version

    def version(name):
        if name == "cmir-ref":
            raise packages.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(packages, "version", version)
    config = worlds.config("stage1.epochs=1", "stage2.epochs=1")
    runs.train(config, worlds.features(n=12), tmp_path / "run")
    assert "# cmir-ref not installed\n" in (tmp_path / "run" / "config.toml").read_text()
    assert examine(None)["packages"]["cmir-ref"] == "not installed"
