import numpy as np
import pytest

from cmir_ref.amfmn.eq10_sentence import sentence, sentence_backward
from cmir_ref.amfmn.eq13_keywords import keywords_vector
from cmir_ref.ops import gru_cell

RNG = np.random.default_rng(0)
C, D = 2, 3


def weights(name):
    return {f"{name}.{part}": RNG.normal(size=s) for part, s in (("w", (C, 3 * D)), ("u", (D, 3 * D)), ("b", (3 * D,)))}


def states(params, name, x, reset="after"):
    """The states of one sequence without padding, step by step."""
    h, found = np.zeros((1, D)), []
    for row in x:
        h, _ = gru_cell(row[None], h, *(params[f"{name}.{part}"] for part in "wub"), reset=reset)
        found.append(h[0])
    return found


@pytest.mark.parametrize("reset", ["after", "before"])
def test_the_mean_over_both_directions_and_all_words(reset):
    params, x, lengths = weights("forward") | weights("backward"), RNG.normal(size=(4, 5, C)), np.array([5, 3, 1, 0])
    s, _ = sentence(params, x, lengths=lengths, reset=reset)
    for row, n, vector in zip(x, lengths, s, strict=True):
        there, back = states(params, "forward", row[:n], reset), states(params, "backward", row[:n][::-1], reset)
        expected = sum((a + b) / 2 for a, b in zip(there, back[::-1], strict=True)) / n if n else np.zeros(D)
        np.testing.assert_allclose(vector, expected, rtol=1e-10)


def test_the_last_state_of_one_direction_rectified():
    params = weights("forward") | {"fc.w": RNG.normal(size=(D, D)), "fc.b": RNG.normal(size=D)}
    x, lengths = RNG.normal(size=(3, 4, C)), np.array([4, 2, 0])
    s, _ = sentence(params, x, lengths=lengths, reading="last")
    for row, n, vector in zip(x, lengths, s, strict=True):
        last = states(params, "forward", row[:n])[-1] if n else np.zeros(D)
        np.testing.assert_allclose(vector, np.maximum(last @ params["fc.w"] + params["fc.b"], 0), rtol=1e-10)


def test_another_reading_is_refused():
    with pytest.raises(ValueError, match="'first'; it is one of mean, last"):
        sentence(weights("forward"), RNG.normal(size=(1, 2, C)), lengths=np.array([2]), reading="first")


def test_the_mean_over_the_keywords_that_there_are():
    params = weights("gru")
    for i in (1, 2):
        params |= {f"mlp.{i}.w": RNG.normal(size=(D, D)), f"mlp.{i}.b": RNG.normal(size=D)}
    x, lengths = RNG.normal(size=(3, 4, 2, C)), np.array([[2, 1, 2, 2], [0, 2, 0, 1], [0, 0, 0, 0]])
    k, _ = keywords_vector(params, x, lengths=lengths)
    for phrases, counts, vector in zip(x, lengths, k, strict=True):
        ends = [states(params, "gru", phrase[:n])[-1] for phrase, n in zip(phrases, counts, strict=True) if n]
        hidden = np.maximum((sum(ends) / len(ends) if ends else np.zeros(D)) @ params["mlp.1.w"] + params["mlp.1.b"], 0)
        np.testing.assert_allclose(vector, hidden @ params["mlp.2.w"] + params["mlp.2.b"], rtol=1e-10)


def test_what_is_switched_off_learns_nothing():
    params = weights("forward") | {"fc.w": RNG.normal(size=(D, D)), "fc.b": np.array([9.0, -9.0, 9.0])}
    _, cache = sentence(params, RNG.normal(size=(3, 4, C)), lengths=np.array([4, 2, 1]), reading="last")
    grads, _ = sentence_backward(np.ones((3, D)), cache)
    assert grads["fc.b"].tolist() == [3, 0, 3]
