"""Questions and answers of the page that need no server."""

from types import SimpleNamespace

import numpy as np
import pytest

from cmir_ref.app.answers import like_the_first
from cmir_ref.app.describe import example_texts
from cmir_ref.ranking import Hit


def hits(*labels):
    return [Hit(rank, "a", f"{rank}", None, one, 0.5) for rank, one in enumerate(labels, start=1)]


def test_of_a_question_from_outside_the_first_that_is_unlike_the_nearest_is_wrong():
    found = hits(("sea", "ship"), ("ship",), ("sand",), ())
    assert like_the_first(found) == [True, True, False, False]
    assert like_the_first(hits((), ("ship",))) == [True, True], "without labels nothing can be said"


def test_sentences_that_somebody_might_type_are_of_the_gallery_each_once():
    """Without their keywords; not neighbours, which say much the same."""
    texts = ["next to it" if k % 2 else f"a {k // 4} | b" for k in range(48)]
    modalities = {"a": SimpleNamespace(texts=None), "b": SimpleNamespace(texts=tuple(texts))}
    run = SimpleNamespace(dataset=SimpleNamespace(modalities=modalities))
    rows = {"a": np.arange(3), "b": np.arange(24, 48)}
    assert example_texts(run, rows) == ["a 6", "a 7", "a 8", "a 9"]
    assert example_texts(run, rows | {"b": np.array([4])}) == ["a 1"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("/tmp/cmir-ref-ab12/query.png: looks like\n  sound; give --from", "your file: looks like sound"),
        ("/tmp/cmir-ref-ab12/query: empty", "your file: empty"),
        (r"C:\Temp\cmir-ref-ab12\query.wav: too long", "your file: too long"),
        ("/srv/data/x.mat: gone", "x.mat: gone"),
    ],
)
def test_a_file_that_was_sent_has_no_name_in_an_error(error, line):
    pytest.importorskip("starlette")
    from cmir_ref.app.server import line_for_page

    assert line_for_page(error) == line
