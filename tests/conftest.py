"""Hypothesis profiles; HYPOTHESIS_PROFILE chooses one."""

import os

from hypothesis import settings

for name, examples in {"ci": 25, "dev": 10, "nightly": 500}.items():
    settings.register_profile(
        name, max_examples=examples, deadline=None, derandomize=name == "ci", print_blob=True, database=None
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
