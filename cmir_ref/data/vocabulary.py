"""Words of sentences, their numbers, and which of them are learned.

A text modality holds word numbers of the data set's lexicon, all its words in alphabetical order; which of them a run
learns is decided on the training part alone. Number 0 is padding, 1 stands between a sentence and its keywords and
between keywords, the words follow, and the last number is any word that the lexicon has not.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import InputError

BAR = 1  # between a sentence and its keywords, "|" in a text
LONGEST = 200  # words of a sentence, the recurrent network has a step for each; and as many of its keywords
STOP_WORDS = frozenset(  # of English, those of NLTK
    """
    i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself
    it its itself they them their theirs themselves what which who whom this that these those am is are was were be
    been being have has had having do does did doing a an the and but if or because as until while of at by for with
    about against between into through during before after above below to from up down in out on off over under
    again further then once here there when where why how all any both each few more most other some such no nor not
    only own same so than too very s t can will just don should now d ll m o re ve y ain aren couldn didn doesn hadn
    hasn haven isn ma mightn mustn needn shan shouldn wasn weren won wouldn
    """.split()  # noqa: SIM905 - a list of words reads better as text
)


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, and "|" where it stands: letters and digits, joined by hyphens.

    A letter with its accent is one, however it is written (NFC).
    """
    return re.findall(r"[^\W_]+(?:-[^\W_]+)*|\|", unicodedata.normalize("NFC", text.lower()))


def words_read(text: str, read: str = "both") -> str:
    """The words of a text that a run reads, one space between them: equal where two texts are the same to it.

    `read` is the "sentence", which ends at the first bar, the "keywords", which stand between bars, or "both".
    """
    words = words_of(text)
    bar = words.index("|") if "|" in words else len(words)
    return " ".join({"sentence": words[:bar], "keywords": words[bar:], "both": words}[read])


def make_lexicon(texts: Iterable[str]) -> dict[str, int]:
    """Numbers from 2 of all words of these texts in alphabetical order."""
    words = {word for text in texts for word in words_of(text)} - {"|"}
    return {word: number for number, word in enumerate(sorted(words), start=2)}


def number_texts(texts: Sequence[str], lexicon: dict[str, int], names: Sequence[str] = ()) -> np.ndarray:
    """The texts as word numbers (N, T) int32, T the length of the longest; a word beyond the lexicon is its size + 2.

    Raises `InputError` for a sentence, or keywords, of more than `LONGEST` words, which begins with the text's name.
    """
    unknown = len(lexicon) + 2
    rows = [[BAR if w == "|" else lexicon.get(w, unknown) for w in words_of(text)] for text in texts]
    for i, row in enumerate(rows):
        sentence = row.index(BAR) if BAR in row else len(row)
        for count, what in ((sentence, "words"), (len(row) - sentence - row.count(BAR), "words of keywords")):
            if count > LONGEST:
                name = names[i] if names else f"text {i}"
                raise InputError(f"{name}: {count} {what}; a caption has at most {LONGEST}")
    x = np.zeros((len(rows), max([1, *map(len, rows)])), np.int32)
    for row, numbers in zip(x, rows, strict=True):
        row[: len(numbers)] = numbers
    return x


def learned_words(x: np.ndarray, lexicon: dict[str, int], min_count: int, stop_words: str = "kept") -> np.ndarray:
    """For every number of the lexicon the number that the network reads (L + 3,) int32: 0 for padding and bars, 1 … K
    for the K words that occur at least `min_count` times in x (N, T), K + 1 for all others.

    `stop_words` "unknown" makes these others too, as the released code does where it looks words up.
    """
    counts = np.bincount(x.ravel(), minlength=len(lexicon) + 3)
    keep = counts >= min_count
    keep[[0, BAR, len(lexicon) + 2]] = False
    if stop_words == "unknown":
        keep[[number for word, number in lexicon.items() if word in STOP_WORDS]] = False
    table = np.where(keep, np.cumsum(keep), keep.sum() + 1).astype(np.int32)
    table[[0, BAR]] = 0
    return table


def split_at_bars(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(words (N, T'), keywords (N, K, T'')) of texts x (N, T): what stands before the first bar, and between the bars.

    Each is padded with 0 to the longest there is, at least one.
    """
    parts = [np.split(row[row > 0], np.flatnonzero(row[row > 0] == BAR)) for row in x]
    parts = [[first, *(p[1:] for p in rest)] for first, *rest in parts]
    width = max([1, *(len(p[0]) for p in parts)])
    count = max([1, *(len(p) - 1 for p in parts)])
    long = max([1, *(len(k) for p in parts for k in p[1:])])
    words, keywords = np.zeros((len(x), width), x.dtype), np.zeros((len(x), count, long), x.dtype)
    for i, (sentence, *phrases) in enumerate(parts):
        words[i, : len(sentence)] = sentence
        for j, phrase in enumerate(phrases):
            keywords[i, j, : len(phrase)] = phrase
    return words, keywords
