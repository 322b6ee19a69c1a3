"""Stage 2 by CUDA graphs, on the stand-in, where a graph does the same to the same memory; and on a GPU, where one is.

Whoever captures a number that changes, forgets to fill an input, or replays a graph for other shapes, trains another
network: every bit of it is compared with that of the plain steps.
"""

import numpy as np
import pytest
import worlds
from strict import test_training
from strict.graphs import Forbidden, Graph
from strict.moves import bits
from strict.standin import counted_launches
from strict.standin import xp as strict
from strict.test_launches import attended
from strict.test_training import STAGE_2, STEPS, N, source

from cmir_ref.backend import capture, to_device, to_host
from cmir_ref.cmirnet.stage2 import init_stage2, latent_settings, stage2_task
from cmir_ref.training.graph import KINDS, StepGraphs, copy_nested, leaves
from cmir_ref.training.loop import new_state, train_epochs

EPOCHS = 3
NAMES = [name for name in STAGE_2 if "end" not in name]  # convolutions are products of cuBLAS
CHANGING = ("stage2.schedule=cosine", "stage2.warmup=0.4", "stage2.feature_dropout=0.2")


def trained(xp, *changes, rest=2, graph=True):
    """(the bits of the last state, each epoch's losses) of stage 2, whose last batch has `rest` pairs."""
    settings = ("d_z=8", "d_v=5", f"stage2.batch_size={N}", f"stage2.epochs={EPOCHS}", "stage2.weight_decay=0.01")
    config = worlds.config(*settings, *CHANGING, *changes, f"stage2.graph={str(graph).lower()}")
    shapes = dict.fromkeys("ab", (10,))
    sources = {m: source(shape, m == "a", k) for k, (m, shape) in enumerate(shapes.items())}
    rows = np.arange(N * (STEPS - 1) + rest)
    network = latent_settings(config, shapes, {m: s.labels for m, s in sources.items()})
    pairs = np.stack([rows, rows[::-1]], axis=1)
    task = stage2_task(config, network, sources, lambda epoch: pairs, len(pairs), dict.fromkeys("ab", rows), xp)
    params, buffers = init_stage2(config, network, shapes, test_training.CLASSES)
    state, losses = new_state(*({k: to_device(v, xp) for k, v in part.items()} for part in (params, buffers))), []
    task = task._replace(validate=lambda params, buffers: {"score": 0.0})
    state = train_epochs(task, state, on_epoch=lambda state, epoch: losses.append(epoch.parts))
    return bits([to_host(part) for part in (state.params.flat, state.m, state.v, state.best_params.flat)]), losses


@pytest.fixture
def replayed():
    """How many graphs were launched since."""
    before = Graph.launches
    return lambda: Graph.launches - before


@pytest.mark.parametrize("rest", [N, 2])
@pytest.mark.parametrize("name", NAMES)
def test_training_by_graphs_is_training_to_the_bit(by_kernels, replayed, capsys, name, rest):
    """All steps but two of each shape are replayed; the first of a shape is plain, at the second the graph begins."""
    plain = trained(strict, *STAGE_2[name], rest=rest, graph=False)
    assert replayed() == 0
    assert trained(strict, *STAGE_2[name], rest=rest) == plain
    assert replayed() == EPOCHS * STEPS - (1 if rest == N else 2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["none", "channel"])
def test_stage_2_of_photos_and_sketches_is_replayed_or_one_line_says_why_not(by_kernels, replayed, capsys, kind):
    """The product of a gate is one of cuBLAS, which cannot be captured."""
    ends = []
    for graph in ("false", "true"):
        task, (params, _) = attended(strict, kind, f"stage2.graph={graph}", f"stage2.epochs={EPOCHS}")
        task = task._replace(validate=lambda params, buffers: {"score": 0.0})
        state = train_epochs(task, new_state({k: to_device(w, strict) for k, w in params.items()}, {}))
        ends.append(bits([to_host(part) for part in (state.params.flat, state.m, state.v)]))
    assert ends[0] == ends[1]
    lines = capsys.readouterr().err.splitlines()
    assert replayed() == (EPOCHS * 3 - 1 if kind == "none" else 0)
    assert [line.startswith("stage2: no CUDA graph, ") for line in lines] == [True] * (kind != "none")


@pytest.mark.gpu
@pytest.mark.parametrize("rest", [N, 2])
@pytest.mark.parametrize("name", NAMES)
def test_training_by_graphs_is_training_to_the_bit_on_a_gpu(gpu, capsys, name, rest):
    assert trained(gpu, *STAGE_2[name], rest=rest) == trained(gpu, *STAGE_2[name], rest=rest, graph=False)
    assert capsys.readouterr().err == ""


def test_what_cannot_be_captured_is_launched_one_by_one_and_one_line_says_so(replayed, capsys):
    """Without the kernels the layers are products of cuBLAS."""
    assert trained(strict) == trained(strict, graph=False)
    assert replayed() == 0
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("stage2: no CUDA graph, ") and "cuBLAS" in line


def test_the_setting_does_nothing_on_the_host(replayed, capsys):
    assert trained(np) == trained(np, graph=False)
    assert replayed() == 0 and capsys.readouterr().err == ""


def test_a_replayed_step_has_few_launches(by_kernels):
    """One for each input that is copied, one for the graph, and those that make the batch and add up its losses."""
    counts = []
    for graph in (False, True):
        with counted_launches() as found:
            trained(strict, graph=graph, rest=N)
        counts.append(sum(found.values()))
    assert found["graph"] == EPOCHS * STEPS - 1
    plain, replaying = (count / (EPOCHS * STEPS) for count in counts)
    assert replaying < plain / 2


# ---- the wrapper -----------------------------------------------------------------------------------------------------


def device(*values):
    return strict.asarray(np.array(values, np.float32))


def test_a_step_is_plain_then_captured_then_replayed_for_each_shape(replayed):
    total, calls = device(0.0), []

    def work(batch, numbers):
        calls.append(len(batch["x"]))
        total[...] = total + batch["x"].sum() * numbers[0]
        return {"loss": total * 2}

    step, expected = StepGraphs("a stage", strict), 0.0
    for values in ((1, 2), (3, 4), (5,), (5, 6), (7,), (8,), (9, 1)):
        expected += sum(values) * values[0]
        found = step(work, ({"x": device(*values)}, device(values[0], 0)))
        assert to_host(found["loss"]) == 2 * expected and to_host(total) == expected
    assert calls == [2, 2, 1, 1] and replayed() == 5


def test_there_are_graphs_for_a_few_shapes_alone(replayed):
    step = StepGraphs("a stage", strict)
    for _ in range(3):
        for n in range(1, KINDS + 3):
            assert to_host(step(lambda x: x.sum(), (strict.ones(n),))) == n
    assert replayed() == 2 * KINDS


@pytest.mark.parametrize(
    "work",
    [
        lambda x: float(x.sum()),
        lambda x: x + strict.asarray(np.ones(2)),
        lambda x: x @ x,
        lambda x: strict.concatenate([x] * 9),
    ],
)
def test_a_wait_an_upload_a_product_and_addresses_are_not_captured(replayed, capsys, work):
    step = StepGraphs("a stage", strict)
    expected = np.asarray(to_host(work(device(1, 2))))
    for _ in range(3):
        np.testing.assert_array_equal(np.asarray(to_host(step(work, (device(1, 2),)))), expected)
    assert replayed() == 0 and len(capsys.readouterr().err.splitlines()) == 1


def test_a_failed_capture_leaves_no_stream_that_captures_and_nothing_written():
    total = device(1.0)

    def work():
        total[...] = total + 1
        raise KeyError("what is wrong")

    with pytest.raises(KeyError, match="what is wrong"):
        capture(work, strict)
    assert to_host(total) == 1 and to_host(total + 1) == 2


def test_a_capture_computes_nothing_and_keeps_numbers_and_memory():
    total, factor = device(1.0), 2.0
    graph = capture(lambda: total.__setitem__(..., total * factor) or total + 1, strict)
    factor = 3.0
    assert to_host(total) == 1 and np.isnan(to_host(graph.results))
    graph.launch()
    graph.launch()
    assert to_host(total) == 4 and to_host(graph.results) == 5


def test_a_graph_without_its_memory_is_refused():
    total = device(1.0)
    graph = capture(lambda: total + 1, strict)
    launch = graph.launch
    del graph
    with pytest.raises(Forbidden, match="memory"):
        launch()


def test_nested_arrays_are_found_and_copied():
    nested = (device(1), {"a": device(2, 3), "b": (device(4),)})
    copies = copy_nested(nested)
    assert bits(copies) == bits(nested) and [len(part) for part in leaves(copies)] == [1, 2, 1]
    nested[0][...] = 9
    assert to_host(copies[0]) == 1
