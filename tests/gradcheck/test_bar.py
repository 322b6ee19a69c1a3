"""A bar on a terminal, on checks that take long."""

import io
import sys

import pytest

from cmir_ref.progress import show_if_slow


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    """A terminal that moves its cursor."""
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("stream", "after", "bar"), [(Terminal, 0.0, True), (Terminal, 60.0, False), (io.StringIO, 0.0, False)]
)
def test_a_bar_on_a_terminal_for_what_takes_long(monkeypatch, stream, after, bar):
    monkeypatch.setattr(sys, "stderr", stream())
    assert list(show_if_slow(iter("abc"), 3, after=after)) == ["a", "b", "c"]
    text = sys.stderr.getvalue()
    assert ("entries" in text and "%" in text) if bar else text == ""


def test_the_cursor_is_back_where_a_check_is_broken_off(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    for _ in show_if_slow(range(9), 9, after=0.0):
        break
    text = sys.stderr.getvalue()
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
