"""The page of the settings is made from their source."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from cmir_ref.config import Config
from cmir_ref.settings_text import Setting, list_settings, settings_page, settings_table

ROOT = Path(__file__).parents[1]


class Inner(BaseModel):
    """A table."""

    rate: float = Field(0.5, gt=0, lt=1)  # how fast


class Base(BaseModel):
    kind: Literal["one", "two"]  # of the thing
    count: int | None = Field(None, ge=1)


class Outer(Base):
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


def test_the_page_is_in_step():
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_page(Config), "run: python -m cmir_ref.settings_text > docs/settings.md"
