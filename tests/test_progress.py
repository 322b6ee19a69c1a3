"""Progress: lines where there is no terminal, a bar where there is one."""

import io

import pytest
import worlds
from rich.console import Console

from cmir_ref import progress, runs
from cmir_ref.progress import Watch
from cmir_ref.reports.terminal import print_table
from cmir_ref.training.loop import Epoch

LINE = Epoch("stage2", 3, 12, {"loss": 1.25, "alignment": 0.5}, {"a->b": 0.5, "score": 0.75}, 1e-3, 2.0, True)


def test_a_line_an_epoch_without_a_terminal(capsys):
    with Watch() as watch:
        step = watch.on_step("stage2", 12, 2)
        step(1, 2, {"loss": 1.0})
        watch.on_epoch(LINE)
    captured = capsys.readouterr()
    assert captured.out == ""
    line = "stage2 3/12 loss 1.25 alignment 0.5 | validation a->b 0.500 score 0.750 best 2.0 s"
    assert " ".join(captured.err.split()) == line


def test_lines_come_when_the_first_stage_begins(capsys):
    with Watch(["alpha = 1.0 (preset: 0.5)", "a = [1]"]) as watch:
        assert capsys.readouterr().err == ""
        watch.on_step("stage1.a", 12)
        assert capsys.readouterr().err == "alpha = 1.0 (preset: 0.5)\na = [1]\n"
        watch.on_step("stage2", 12)
    assert capsys.readouterr().err == ""


def bar_positions(steps, epochs, done=0):
    """(steps that the bar shows as done, all steps) after each step of whole epochs."""
    watch = Watch()
    watch.console = Console(file=io.StringIO())
    step, positions = watch.on_step("stage2", epochs, done), []
    for _ in range(done, epochs):
        for k in range(1, steps + 1):
            step(k, steps, {"loss": 1.0})
            (bar,) = watch.progress.tasks
            positions.append((bar.completed, bar.total))
    return positions


def test_the_bar_counts_the_steps_of_all_epochs():
    assert bar_positions(3, 2) == [(k, 6) for k in range(1, 7)]


def test_the_bar_moves_where_an_epoch_is_one_step():
    assert bar_positions(1, 4) == [(k, 4) for k in range(1, 5)]


def test_the_bar_starts_where_a_resumed_run_does():
    assert bar_positions(2, 4, done=2) == [(k, 8) for k in range(5, 9)]
    assert bar_positions(1, 4, done=3) == [(4, 4)]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_however_narrow_the_terminal_it_says_how_far_it_is(width, monkeypatch):
    """What does not fit is the end of the losses, not the bar, the steps or the time left."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr(progress, "terminal", lambda: console)
    with Watch() as watch:
        step = watch.on_step("stage2", 4)
        step(3, 10, dict.fromkeys(("loss", "alignment", "classification", "feature_norm", "reconstruction"), 1.0))
        watch.progress.refresh()
    last = [line for line in out.getvalue().splitlines() if "stage2" in line][-1]
    assert "3/40" in last and "-:--:--" in last and "loss" in last and len(last.rstrip()) <= width + 8  # control codes


def test_what_would_steer_the_terminal_is_spelled(capsys):
    progress.tell("warning: \x1b[31mred\x9b")
    print_table(["name", "n"], [["a\x1bc\nd", "1"]])
    told = capsys.readouterr()
    assert told.err == "warning: \\x1b[31mred\\x9b\n" and "a\\x1bc\\nd" in told.out and "\x1b" not in told.out


def test_the_bar_of_all_samples_is_full_when_they_are_made():
    watch = Watch()
    watch.console = Console(file=io.StringIO())
    runs.train(worlds.config("stage1.epochs=1", "stage2.epochs=1"), worlds.features(), watch=watch)
    bars = {task.description: (task.completed, task.total) for task in watch.progress.tasks}
    assert {"stage1.a, all samples", "stage1.b, all samples", "stage2, all samples"} < bars.keys()
    assert all(done == total for done, total in bars.values()), bars
