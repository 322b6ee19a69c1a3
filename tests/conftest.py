"""Hypothesis profiles, HYPOTHESIS_PROFILE chooses one; tests that need a package that is not here are skipped."""

import os
from importlib.util import find_spec

import pytest
from hypothesis import settings

for name, examples in {"ci": 25, "dev": 10, "nightly": 500}.items():
    settings.register_profile(
        name, max_examples=examples, deadline=None, derandomize=name == "ci", print_blob=True, database=None
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

ABSENT = {name for name in ("librosa", "soundfile") if find_spec(name) is None}  # as on a machine lent for its GPU


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that reads sounds is skipped where nothing can read them, and says so."""
    report = yield
    error = call.excinfo and call.excinfo.value
    if isinstance(error, ModuleNotFoundError) and error.name in ABSENT:
        report.outcome, report.longrepr = "skipped", (str(item.path), item.location[1] + 1, f"{error.name} is not here")
    return report
