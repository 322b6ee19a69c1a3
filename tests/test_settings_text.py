"""The page of the settings is made from their source."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from cmir_ref.config import SharedSettings
from cmir_ref.settings_text import Setting, list_settings, settings_page, settings_table
from cmir_ref.systems import SYSTEMS

ROOT = Path(__file__).parents[1]


class Inner(BaseModel):
    """A table."""

    rate: float = Field(0.5, gt=0, lt=1)  # how fast


class Base(BaseModel):
    """What all have."""

    kind: str  # of the thing
    count: int | None = Field(None, ge=1)


class Outer(Base):
    """What one has."""

    kind: Literal["one", "two"]
    sizes: tuple[  # of the layers,
        int, ...
    ] = (3, 4)  # the first one first
    on: bool = True
    inner: Inner = Inner()  # never shown: a table has its docstring


def test_every_setting_with_its_values_default_and_comment():
    assert list_settings(Outer) == [
        Setting("kind", "`one`, `two`", ..., "of the thing"),
        Setting("count", "integer ≥ 1", None, ""),
        Setting("sizes", "list of integers", (3, 4), "of the layers, the first one first"),
        Setting("on", "`true`, `false`", True, ""),
        Setting("inner.rate", "number > 0, < 1", 0.5, "how fast"),
    ]


def test_table_is_markdown_that_shows_every_sign():
    table = settings_table([Setting("a", "text", "b", "a folder <label>, |x|"), Setting("c", "integer", None, "")])
    assert table.splitlines()[2:] == [
        "| `a` | text | `b` | a folder &lt;label>, \\|x\\| |",
        "| `c` | integer | not set |  |",
    ]


def test_a_page_shows_what_is_shared_once_and_what_is_narrowed_twice():
    page = settings_page(Base, {"outer": Outer})
    shared, own, inner = page.split("\n## ")[1], page.split("\n## ")[2].split("\n### ")[0], page.split("\n### ")[1]
    assert "| `kind` | text |  | of the thing |" in shared and "| `count` |" in shared and "What all have." in shared
    assert "| `kind` | `one`, `two` |  | of the thing |" in own and "| `count` |" not in own and "| `sizes` |" in own
    assert "A table." in inner and "| `inner.rate` |" in inner and "inner.rate" not in own


def test_the_page_is_in_step():
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    systems = {name: system.settings for name, system in SYSTEMS.items()}
    assert page == settings_page(SharedSettings, systems), "run: python -m cmir_ref.settings_text > docs/settings.md"


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_setting_says_what_it_is(system):
    assert [s.name for s in list_settings(SYSTEMS[system].settings) if not s.comment] == []
