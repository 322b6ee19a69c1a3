"""Hypothesis profiles, HYPOTHESIS_PROFILE chooses one; tests may lack the packages that CMIR_MAY_LACK names."""

import os
import signal
import sys
from importlib.util import find_spec

import pytest
from hypothesis import settings

for name, examples in {"ci": 25, "dev": 10, "nightly": 500}.items():
    settings.register_profile(
        name, max_examples=examples, deadline=None, derandomize=name == "ci", print_blob=True, database=None
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# several hundred processes are started here: where compiled files are forbidden, each would compile the package anew
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    sys.dont_write_bytecode = False

# where a shell runs the tests in the background interruptions are ignored, and would be by each command that they start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# on a machine lent for its GPU some packages cannot be had; everywhere else one that is missing is a failure
ABSENT = {name for name in os.environ.get("CMIR_MAY_LACK", "").split() if find_spec(name) is None}
collect_ignore = []
if ABSENT & {"librosa", "soundfile"}:
    collect_ignore += ["data/test_voices.py", "data/test_speech.py", "test_machines.py", "test_fuzz.py"]
if ABSENT & {"nbformat", "jupytext", "nbclient", "ipykernel"}:
    collect_ignore += ["lessons/test_lessons.py"]
if ABSENT & {"starlette", "uvicorn", "playwright"}:
    collect_ignore += ["app"]
if "yaml" in ABSENT:
    collect_ignore += ["test_documents.py"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that needs a package of ABSENT is skipped, and says so."""
    report = yield
    error = call.excinfo and call.excinfo.value
    if isinstance(error, ModuleNotFoundError) and error.name in ABSENT:
        report.outcome, report.longrepr = "skipped", (str(item.path), item.location[1] + 1, f"{error.name} is not here")
    return report
