"""The page of a run: everything is on it, nothing is loaded from elsewhere."""

import re
import xml.etree.ElementTree as ET
from functools import cache
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
import worlds

from cmir_ref import runs
from cmir_ref.reports import report
from cmir_ref.reports.plots import bars_by_class, losses, scores
from cmir_ref.reports.report import (
    dotted_settings,
    rank_words,
    recall_rows,
    render,
    stage_title,
    state_sentence,
    write_report,
)
from cmir_ref.reports.terminal import first_sentence, print_table
from cmir_ref.systems import SYSTEMS

VOID = {"meta", "br", "img"}


class Page(HTMLParser):
    """Text, links and figures of a page; fails on tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.links, self.tags = [], [], [], []
        self.feed(text)
        assert not self.open
        self.text = re.sub(r"\s+", " ", "".join(self.words))

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@cache
def trained(*changes):
    return runs.train(worlds.config(*changes), worlds.features())


def page_of(run, result=None) -> Page:
    return Page(render(run, result or runs.evaluate(run)))


def test_settings_metrics_and_split_are_on_the_page():
    run = trained()
    result, page = runs.evaluate(run), page_of(run)
    for name, value in dotted_settings(run.config.model_dump()).items():
        assert f"{name}{value}".replace(" ", "") in page.text.replace(" ", "") or f"{name} {value}" in page.text, name
    for text in ("a → b", "b → a", "a → a", "b → b", "a → a or b", "b → a or b"):
        assert f" {text}" in page.text
    for m in result["directions"].values():
        assert all(f"{m[name]:.3f}" in page.text for name in ("map", "chance", "p@10", "p@50", "chance_precision"))
    assert "protocol paper" in page.text and "gallery: test" in page.text and "made up" in page.text
    assert f"{len(run.parts.train['a'])} + 24 training" in page.text
    assert state_sentence(result, {"a": "a", "b": "b"}) in page.text and "Alive" in page.text
    assert all(f"{norm:.4g}" in page.text for norm in result["weight_norms"].values())
    assert "no VGG-16" in page.text and "dense pretrainer on 10 vectors" in page.text


def test_every_stage_has_its_curves():
    page = render(trained(), runs.evaluate(trained()))
    assert page.count("<svg") == page.count("</svg>") == 7  # two a stage, and precision by class
    for caption in ("Stage 1, a (a)", "Stage 1, b (b)", "Stage 2"):
        assert caption in page
    for part in (
        "loss",
        "ce",
        "0.1 · orthogonality",
        "0.5 · alignment",
        "classification",
        "0.01 · feature_norm",
        "0.1 · reconstruction",
        "0.01 · regulariser",
    ):
        assert f"<!-- {part} -->" in page, part
    page = render(trained("stages=end-to-end"), runs.evaluate(trained("stages=end-to-end")))
    assert page.count("<svg") == 3 and "Stage 1, a" not in page


def test_nothing_is_loaded_from_elsewhere():
    run = trained()
    text = render(run, runs.evaluate(run))
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert all(link.startswith("#") for link in page.links)
    assert "@import" not in text and not re.search(r"url\((?!#)", text)


@pytest.mark.parametrize("epochs", [1, 400])
def test_short_and_long_runs(epochs):
    run = trained()
    history = []
    for stage in ("stage1.a", "stage1.b", "stage2"):
        line = next(line for line in run.history if line["stage"] == stage)
        for epoch in range(1, epochs + 1):
            parts = {name: value / epoch for name, value in line["parts"].items()}
            history.append(line | {"epoch": epoch, "parts": parts, "best": epoch % 100 == 1})
    page = page_of(run._replace(history=history))
    assert page.tags.count("svg") == 7
    assert page.text.count(f"The grey line marks the epoch that was kept, {max(epochs - 99, 1)}.") == 3


def test_odd_strings_are_only_text():
    odd = '<script>alert("1")</script> & $x^ "quoted" \'s'
    run = trained()
    names = (odd, r"$\oops$", "class_2", "Ω wide & <b>")
    modalities = {m: modality._replace(name=odd) for m, modality in run.dataset.modalities.items()}
    dataset = run.dataset._replace(note=odd, label_names=names, modalities=modalities)
    run = run._replace(dataset=dataset, config=run.config.model_copy(update={"speech": odd}))
    text = render(run, runs.evaluate(run))
    assert "<script" not in text and "<b>" not in text
    page = Page(text)
    assert page.text.count(odd) > 5


def test_queries_without_relevant_items_everywhere():
    """All metrics are None: dashes in the table, and a figure without bars."""
    run = trained()
    nothing = {m: np.zeros((len(modality.ids), 4), np.uint8) for m, modality in run.dataset.modalities.items()}
    blank = {m: modality._replace(labels=nothing[m]) for m, modality in run.dataset.modalities.items()}
    run = run._replace(dataset=run.dataset._replace(modalities=blank))
    result = runs.evaluate(run)
    assert result["directions"]["a->b"]["map"] is None and result["directions"]["a->b"]["without_relevant"] == 20
    page = page_of(run, result)
    assert page.text.count("–") >= 6 * 6 and "0 (+20 without relevant items)" in page.text
    assert page.tags.count("svg") == 7


def test_the_table_of_the_command_line_bears_them_too(capsys):
    from cmir_ref.reports.terminal import show_evaluation

    run = trained()
    result = runs.evaluate(run)
    tens = [f"mean_precision_at_{name}" for name in ("tens", "tens_most", "ten_tens", "ten_tens_most")]
    result["directions"]["a->a"] |= dict.fromkeys(("map", "chance", "p@10", "p@50", *tens)) | {"queries": 0}
    show_evaluation(result, as_json=False)
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("a->a"))
    assert row.split() == ["a->a", *8 * "–", "0"]
    show_evaluation(result, as_json=True)
    assert '"map": null' in capsys.readouterr().out


def test_the_cutoffs_of_the_scripts_for_speech_stand_in_its_tables_alone(capsys):
    """Up to 100 for speech, 50 for PAN and MUL (docs/paper_and_code.md, row 33)."""
    from cmir_ref.reports.terminal import show_evaluation

    run = trained()
    of_speech = runs.evaluate(run)
    pairs = run._replace(config=run.config.model_copy(update={"scenario": "pan-mul"}))
    for result, there in ((of_speech, True), (runs.evaluate(pairs), False)):
        show_evaluation(result)
        assert ("mean P@10…100" in capsys.readouterr().out) == there
        assert ("mean_precision_at_ten_tens" in result["directions"]["a->b"]) == there
    assert "mean P@10…100" in page_of(run).text and "mean P@10…100" not in page_of(pairs).text


def test_a_sound_or_image_run_says_what_its_features_are():
    data = worlds.pictures(18)
    run = runs.train(worlds.config("stage1.epochs=1", "stage2.epochs=1"), data)
    assert "image: convolution pretrainer on 64 × 64 × 3 image; b: dense pretrainer on 8 vectors" in page_of(run).text


def test_the_page_is_written_whole(tmp_path):
    run = trained()._replace(path=tmp_path)
    path = write_report(run, runs.evaluate(run))
    assert path == tmp_path / "report.html" and [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert f"Run {tmp_path.name}" in path.read_text(encoding="utf-8")


# ---- figures --------------------------------------------------------------------------------------------------------


def lines(epochs, **parts):
    validation = {"a->b": 0.5, "b->a": 0.25, "score": 0.375}
    return [{"epoch": k, "parts": dict(parts), "validation": validation, "best": k == 2} for k in range(1, epochs + 1)]


def test_figures_are_well_formed_svg():
    of_classes = {"a → b": {"sea": {"map": 0.5}, "sand": {"map": None}}, "b → a": {"sea": {"map": 1}}}
    bars = bars_by_class(of_classes, "map", "average precision")
    for text in (
        losses(lines(3, loss=2.0, alignment=1.0), {}),
        scores(lines(3, loss=1.0)),
        bars,
        bars_by_class({"a → b": {}}, "r@10", "recall at 10"),
    ):
        assert ET.fromstring(text).tag.endswith("svg")
    assert all(f"<!-- {words} -->" in bars for words in ("sand", "sea", "average precision"))


def test_letters_that_matplotlib_has_not_are_left_to_the_reader(recwarn):
    """Classes in Chinese would be boxes; others stay outlines, which look alike everywhere."""
    chinese, plain = (
        bars_by_class({"a → b": {name: {"map": 0.5}}}, "map", "precision") for name in ("机场", "airport")
    )
    assert ">机场</text>" in chinese and "<text" not in plain and not recwarn.list


def test_one_epoch_is_one_tick():
    text = scores(lines(1, loss=1.0))
    assert re.findall(r"<!-- (\d[\d.]*) -->", text[: text.index("<!-- epoch -->")]) == ["1"]


def test_scores_below_zero_are_drawn_too():
    """A trunk's score is minus its loss: on an axis from 0 to 1 nothing of it would be seen."""

    def path(values):
        given = lines(len(values), loss=1.0)
        for line, value in zip(given, values, strict=True):
            line["validation"] = {"score": value}
        text = scores(given)
        view = float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', text)[1])
        points = re.findall(r'<path d="M ([^"]*)" clip-path', text)[-1]
        return [float(y) for y in re.findall(r"[\d.]+ ([-\d.]+)", points)], view

    for values in ([-2.0, -1.0, -0.9], [0.1, 0.5, 0.9]):
        heights, view = path(values)
        assert all(0 < y < view for y in heights) and heights == sorted(heights, reverse=True)


def test_losses_are_drawn_weighted():
    def heights(weight):
        text = losses(lines(2, loss=10.0, alignment=1.0), {"alignment": weight})
        return re.findall(r'<path d="M ([^"]*)" clip-path', text)

    assert heights(1.0) != heights(5.0)
    assert "<!-- 5 · alignment -->" in losses(lines(2, loss=10.0, alignment=1.0), {"alignment": 5.0})


def test_a_loss_of_zero_or_less_is_drawn_on_a_linear_axis():
    assert r"10^{" in losses(lines(3, loss=2000.0, alignment=0.02), {})
    assert r"10^{" not in losses(lines(3, loss=2000.0, alignment=0.0), {})
    assert r"10^{" not in losses(lines(3, loss=2000.0, alignment=1.0), {"alignment": 0.0})


# ---- words and rows -------------------------------------------------------------------------------------------------

NAMES = {"a": "pan", "b": "mul"}
RECALLS = {
    "a->b": {"r@1": 0.2, "chance_r@1": 0.1, "r@10": 0.6, "chance_r@10": 0.3, "median_rank": 2.0},
    "b->a": {"r@1": 0.4, "chance_r@1": 0.1, "r@10": 0.8, "chance_r@10": 0.5, "median_rank": 1.5},
    "a->a": {"median_rank": None},
}
RANKS = {d: {**m, "map": 0.5, "chance_median_rank": 8.0} for d, m in RECALLS.items()}


def test_recalls_stand_above_what_chance_gives():
    rows = recall_rows({"mr": 0.5, "directions": RANKS})
    own = {"a->b r@1": 0.2, "a->b r@10": 0.6, "b->a r@1": 0.4, "b->a r@10": 0.8, "mr": 0.5}
    chance = {"a->b r@1": 0.1, "a->b r@10": 0.3, "b->a r@1": 0.1, "b->a r@10": 0.5, "mr": 0.25}
    assert list(rows) == ["this run", "chance: all scores equal"]
    assert list(rows.values()) == [pytest.approx(own), pytest.approx(chance)]
    assert recall_rows({"directions": RANKS}) == {}


def test_all_rows_of_recalls_are_in_one_order():
    figures = {"a->b r@1": 0.3, "b->a r@1": 0.5, "mr": 0.4}
    beside = {"chance": dict(reversed(figures.items())), "ceiling": figures | {"a->b r@5": 0.9}}
    rows = recall_rows({"mr": 0.3, "directions": RANKS, "duplicate_aware": figures, "beside": beside})
    assert {tuple(row) for row in rows.values()} == {("a->b r@1", "b->a r@1", "mr")}
    assert list(rows["this run"].values()) == [0.2, 0.4, 0.3] and len(rows) == 4


def test_median_ranks_stand_beside_those_of_chance():
    assert rank_words({"directions": RANKS}) == "median rank 2 a->b, 1.5 b->a; by chance 8 and 8"
    assert rank_words({"directions": {"a->a": RANKS["a->a"]}}) == ""


def test_a_stage_is_called_by_its_number_and_its_sense():
    assert [stage_title(stage, {"a": "pan (a)"}) for stage in ("stage1.a", "stage2", "match")] == [
        "Stage 1, pan (a)",
        "Stage 2",
        "Match",
    ]


def test_a_collapse_is_told_with_its_cause():
    """Of the modality that is one point: whether its weights went to zero, or live beside units that never vary."""
    one = {"state": "half collapsed", "one_point": ["b"], "weight_norms": {"encoder_a.1.w": 1e-9, "encoder_b.1.w": 0.5}}
    dead = {"dead_units": {"a": 0.25, "b": 1.0}}
    assert state_sentence(one | dead, NAMES) == (
        "Half collapsed: every embedding of mul is the same although the weights live (smallest ‖w‖ = 0.5); "
        "100% of its units never vary."
    )
    assert state_sentence(one, NAMES) == "Half collapsed: every embedding of mul is the same."
    zero = "the encoder weights shrank to zero (smallest ‖w‖ = 1.0e-09)."
    assert state_sentence(one | {"one_point": ["a"]} | dead, NAMES) == f"Half collapsed: {zero}"
    assert state_sentence({"state": "collapsed"}, NAMES) == "Collapsed: every embedding of pan and mul is the same."
    assert state_sentence({"state": "alive", "scale": 0.5}, NAMES) == "Alive: embeddings spread 0.5 around their mean."


def test_a_picture_of_evidence_bears_all_labels_of_its_sample(monkeypatch):
    images = worlds.captioned(n=6).modalities["a"]._replace(paths=tuple("abcdef"))
    heat = SYSTEMS["amfmn"]._replace(heat=lambda run: [("a", 1, None)])
    monkeypatch.setitem(report.SYSTEMS, "amfmn", heat)
    monkeypatch.setattr(report, "heated", lambda *_: ())
    for labels, said in ((np.array([0, 2]), "tree"), (np.array([[1, 0, 0], [1, 0, 1]]), "house, tree")):
        dataset = SimpleNamespace(
            modalities={"a": images._replace(labels=labels)}, label_names=("house", "car", "tree")
        )
        run = SimpleNamespace(config=SimpleNamespace(system="amfmn"), dataset=dataset)
        ((card,),) = report.heat_sections(run, NAMES).values()
        assert (card.name, card.labels) == (images.ids[1], ((said, True),))


def test_words_stand_on_the_left_and_figures_on_the_right(capsys):
    """A column is of figures where every cell that says something is one."""
    print_table(
        ("name", "n", "sparse", "mixed"), [("a longer", "1", "", "7"), ("b", "100", "2", "none"), ("c", "20", "", "8")]
    )
    assert capsys.readouterr().out.splitlines() == [
        "name        n  sparse  mixed",
        "a longer    1          7",
        "b         100       2  none",
        "c          20          8",
    ]


def test_the_first_sentence_of_a_preset_ends_at_a_full_stop_not_at_a_decimal_point():
    assert first_sentence("# With 0.5 of\n# all. And more.\n\n# Later.\nx = 1") == "With 0.5 of all."
    assert first_sentence("# No end\nx = 1") == "No end"
