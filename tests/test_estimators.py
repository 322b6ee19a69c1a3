"""The face of scikit-learn: its own checks, searches and pipelines, and that behind it stands the same network."""

import pickle

import numpy as np
import pytest
import worlds

pytest.importorskip("sklearn", reason="needs the extra sklearn")
from sklearn.base import clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from cmir_ref.cmirnet import system
from cmir_ref.cmirnet.settings import CmirnetSettings
from cmir_ref.config import load_config
from cmir_ref.estimators import OF_FILES, CMIRNet, setting_names
from cmir_ref.retrieval import evaluate_direction
from cmir_ref.settings_text import list_settings

SHORT = {"stage1_epochs": 2, "stage2_epochs": 2}
LONG = {"stage1_epochs": 30, "stage2_epochs": 30, "stage1_batch_size": 8, "stage2_batch_size": 8}
DO_NOT_APPLY = {  # scikit-learn's checks that cannot hold here, and why
    "check_fit_score_takes_y": "fit(Xa, Xb, y) has two arrays before y",
    "check_array_api_input": "asks for SCIPY_ARRAY_API",
}


def check_name(check):
    return getattr(check, "func", check).__name__


@pytest.fixture(scope="module")
def world():
    """(Xa, Xb, y): rows that belong together, of four classes."""
    data = worlds.features(paired=True, n=80)
    a, b = (modality.x for modality in data.modalities.values())
    return a, b, np.array(["forest", "harbor", "river", "runway"])[data.modalities["a"].labels]


@pytest.fixture(scope="module")
def fitted(world):
    return CMIRNet(d_v=8, seed=1, **LONG).fit(*world)


CHECKS_OF_SKLEARN = list(estimator_checks_generator(CMIRNet(**SHORT)))


@pytest.mark.parametrize("name", sorted({check_name(c) for _, c in CHECKS_OF_SKLEARN} - DO_NOT_APPLY.keys()))
def test_a_check_of_scikit_learn(name):
    for estimator, check in CHECKS_OF_SKLEARN:
        if check_name(check) == name:
            check(estimator)


def test_nearly_all_of_its_checks_are_made():
    names = {check_name(check) for _, check in CHECKS_OF_SKLEARN}
    assert names >= DO_NOT_APPLY.keys() and len(names) > 35


# ---- parameters -----------------------------------------------------------------------------------------------------


def test_every_setting_that_vectors_have_is_a_parameter():
    names = {setting.name for setting in list_settings(CmirnetSettings)}
    assert set(setting_names().values()) == names - OF_FILES and names >= OF_FILES
    parameters = CMIRNet().get_params()
    assert parameters.keys() == setting_names().keys() | {"columns_a"}
    preset = load_config("image-speech")
    assert (parameters["stage2_lr"], parameters["d_v"]) == (preset.stage2.lr, preset.d_v)
    assert parameters["weights_alignment"] == preset.weights.alignment


def test_what_changes_nothing_for_vectors_is_no_parameter(fitted):
    idle = CMIRNet(weights_contrastive=0.1)._settings().idle(fitted.run_.dataset)
    assert idle and not idle.keys() & set(setting_names().values())
    for name in ("classes", "start_from", "stage2_graph"):  # the last two: of run folders and of GPUs
        with pytest.raises(TypeError, match=f"no parameter '{name}'"):
            CMIRNet(**{name: None})


def test_clone_set_and_pickle(fitted, world):
    net = clone(CMIRNet(d_v=5, weights_alignment=0.3))
    assert net.get_params()["weights_alignment"] == 0.3 and net.set_params(d_v=7).d_v == 7
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(world[0], "a"), fitted.transform(world[0], "a"))
    with pytest.raises(TypeError, match="no parameter 'dv'"):
        CMIRNet(dv=3)
    with pytest.raises(ValueError, match=r"^d_v: .*, not 0"):
        CMIRNet(d_v=0, **SHORT).fit(*world)


# ---- what it learns -------------------------------------------------------------------------------------------------


def test_embeddings_are_those_of_the_system(fitted, world):
    x_a, x_b, _ = world
    for m, x in (("a", x_a), ("b", x_b)):
        v = fitted.transform(x, modality=m)
        assert v.shape == (80, 8) and v.dtype == np.float64
        np.testing.assert_allclose(v, system.encode(fitted.run_, m, x)["v"], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        fitted.transform(np.hstack([x_a, x_b])), np.hstack([fitted.transform(x_a, "a"), fitted.transform(x_b, "b")])
    )


def test_neighbours_are_rows_of_the_other_modality(fitted, world):
    x_a, x_b, y = world
    distances, rows = fitted.kneighbors(x_a[:5], modality="a", k=3)
    v, gallery = fitted.transform(x_a[:5], "a"), fitted.transform(x_b, "b")
    every = np.linalg.norm(v[:, None] - gallery, axis=2)
    np.testing.assert_array_equal(rows, np.argsort(every, axis=1, kind="stable")[:, :3])
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :3], atol=1e-3)
    assert (y[fitted.kneighbors(x_b, "b", 1)[1][:, 0]] == y).mean() > 0.9
    assert fitted.kneighbors(x_a[:5], "a", 81)[1].shape == (5, 80)


def test_the_score_is_mean_average_precision_of_both_directions(fitted, world):
    x_a, x_b, y = world
    classes = np.searchsorted(np.unique(y), y)
    v_a, v_b = fitted.transform(x_a, "a"), fitted.transform(x_b, "b")
    pairs = (v_a, classes, v_b, classes), (v_b, classes, v_a, classes)
    expected = np.mean([evaluate_direction(*pair)["map"] for pair in pairs])
    assert fitted.score(x_a, x_b, y) == pytest.approx(expected) and expected > 0.8
    assert fitted.score(np.hstack([x_a, x_b]), y) == pytest.approx(CMIRNet.score(fitted, x_a, x_b, y))


def test_rows_of_classes_that_were_never_seen_count_in_the_score(world):
    x_a, x_b, y = world
    seen = np.isin(y, ["forest", "harbor"])
    net = CMIRNet(d_v=8, **SHORT).fit(x_a[seen], x_b[seen], y[seen])
    for rows in (~seen, y != "harbor"):
        v = {m: net.transform(x[rows], m) for m, x in (("a", x_a), ("b", x_b))}
        classes = np.unique(y[rows], return_inverse=True)[1]
        expected = [evaluate_direction(v[p], classes, v[q], classes)["map"] for p, q in ("ab", "ba")]
        assert net.score(x_a[rows], x_b[rows], y[rows]) == pytest.approx(np.mean(expected)) and min(expected) > 0


def test_where_nothing_is_relevant_there_is_no_score(fitted, world):
    """0.0 would be that of a space that ranks all wrong."""
    x_a, x_b, _ = world
    with pytest.warns(UndefinedMetricWarning, match="no row shares a label"):
        assert np.isnan(fitted.score(x_a[:4], x_b[4:8], (["forest"] * 4, ["river"] * 4)))
    some = fitted.score(x_a[:4], x_b[:4], (["forest"] * 4, ["forest"] * 2 + ["river"] * 2))
    v = [fitted.transform(x[:4], m) for m, x in (("a", x_a), ("b", x_b))]
    one, other = np.zeros(4, int), np.array([0, 0, 1, 1])
    expected = evaluate_direction(v[0], one, v[1], other)["map"], evaluate_direction(v[1], other, v[0], one)["map"]
    assert some == pytest.approx(np.mean(expected))


def test_multi_hot_labels_and_modalities_that_are_not_paired():
    data = worlds.features(multi=True, n=40)
    a, b = data.modalities["a"], data.modalities["b"]
    net = CMIRNet(d_v=6, **LONG).fit(a.x, b.x, (a.labels, np.eye(4, dtype=int)[b.labels]))
    assert net.transform(b.x, "b").shape == (24, 6) and net.score(a.x, b.x, (a.labels, np.eye(4)[b.labels])) > 0.7


def test_a_tuple_of_labels_is_one_list_of_them(world):
    x_a, x_b, y = world
    one, same = (CMIRNet(**SHORT).fit(x_a, x_b, labels) for labels in (y, tuple(y)))
    np.testing.assert_array_equal(one.transform(x_a, "a"), same.transform(x_a, "a"))
    assert one.score(x_a, x_b, tuple(y)) == one.score(x_a, x_b, y)


@pytest.mark.parametrize("unit", [1e-12, 1e-30, 1e12])
def test_the_unit_of_a_column_does_not_matter(world, unit):
    x_a, x_b, y = world
    other = x_a * np.where(np.arange(x_a.shape[1]) % 2, unit, 1)
    given = {"normalise_features": "standardise"} | SHORT
    one, same = (CMIRNet(**given).fit(x, x_b, y).transform(x, "a") for x in (x_a, other))
    np.testing.assert_allclose(same, one, rtol=1e-3, atol=1e-4)


def test_the_same_seed_gives_the_same_space_and_another_another(world):
    one, same, other = (CMIRNet(seed=s, **SHORT).fit(*world).transform(world[0], "a") for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


# ---- with others ----------------------------------------------------------------------------------------------------


def test_a_grid_search_chooses_by_the_score(world):
    x_a, x_b, y = world
    both = np.hstack([x_a, x_b])
    grid = {"d_v": [2, 6], "weights_classification": [1.0, 2.0]}
    search = GridSearchCV(CMIRNet(columns_a=10, stage1_epochs=3, stage2_epochs=3), grid, cv=2).fit(both, y)
    assert search.best_params_.keys() == grid.keys() and np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.widths_ == {"a": 10, "b": 8}


def test_a_pipeline_goes_on_with_the_embeddings(world):
    x_a, x_b, y = world
    both = np.hstack([x_a, x_b])
    net = CMIRNet(columns_a=10, **LONG)
    pipe = make_pipeline(StandardScaler(), net, KNeighborsClassifier(3)).fit(both[:40], y[:40])
    assert pipe.score(both[40:], y[40:]) > 0.8


class Frame:
    """What a data frame is to a function that reads arrays: columns with names."""

    def __init__(self, x, columns):
        self.x, self.columns = x, columns

    def __array__(self, dtype=None, copy=None):
        return np.array(self.x, dtype=dtype)


def test_columns_in_another_order_are_refused(world):
    x_a, x_b, y = world
    names = {"a": [f"a{i}" for i in range(10)], "b": [f"b{i}" for i in range(8)]}
    a, b = Frame(x_a, names["a"]), Frame(x_b, names["b"])
    net = CMIRNet(**SHORT).fit(a, b, y)
    np.testing.assert_array_equal(net.transform(a, "a"), net.transform(x_a, "a"))
    turned = Frame(x_a[:, ::-1], names["a"][::-1])
    calls = (
        lambda: net.transform(turned, "a"),
        lambda: net.kneighbors(turned, "a"),
        lambda: net.score(turned, b, y),
    )
    for call in calls:
        with pytest.raises(ValueError, match="modality a has the column 'a9' where fit saw 'a0'"):
            call()
    assert net.fit(x_a, x_b, y).transform(turned, "a").shape == (80, 64), "an array has no names"


def test_names_of_the_columns_of_one_array_are_those_of_its_modalities(world):
    pandas = pytest.importorskip("pandas")
    x_a, x_b, y = world
    both = pandas.DataFrame(np.hstack([x_a, x_b]), columns=[f"x{i}" for i in range(18)])
    net = CMIRNet(columns_a=10, **SHORT).fit(both, y)
    assert net.transform(both[both.columns[10:]], "b").shape == (80, 64)
    with pytest.raises(ValueError, match="modality b has the column 'x17' where fit saw 'x10'"):
        net.transform(both[both.columns[:9:-1]], "b")


def test_scikit_learn_names_the_columns_of_one_array_alone(fitted, world, monkeypatch):
    """Where `set_output` asks for frames, a modality's embeddings stay arrays: their columns are not those names."""
    x_a, x_b, _ = world
    named = lambda method, data, original, estimator: (data, estimator.get_feature_names_out())  # noqa: E731
    monkeypatch.setattr("sklearn.utils._set_output._wrap_data_with_container", named)
    data, names = fitted.transform(np.hstack([x_a, x_b]))
    assert data.shape == (80, len(names)) and list(names[7:9]) == ["v_a7", "v_b0"]
    assert fitted.transform(x_a, "a").shape == (80, 8) and fitted.kneighbors(x_a, "a", 3)[1].shape == (80, 3)


def test_frames_of_pandas(world):
    pandas = pytest.importorskip("pandas")
    x_a, x_b, y = world
    a, b = (pandas.DataFrame(x, index=np.arange(80) + 7).add_prefix(m) for m, x in (("a", x_a), ("b", x_b)))
    both, y = pandas.concat([a, b], axis=1), pandas.Series(y, index=a.index).astype("category")
    net = CMIRNet(columns_a=10, **SHORT).set_output(transform="pandas").fit(both, y)
    made = net.transform(both)
    assert list(made.columns) == list(net.get_feature_names_out()) and made.index.equals(both.index)
    np.testing.assert_array_equal(made.to_numpy()[:, 64:], net.transform(b, "b"))
    assert net.fit_transform(a, b, y).shape == (80, 128) and np.isfinite(net.score(a, b, y))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda net, a, b, y: net.transform(a, "c"), "modality is 'c'"),
        (lambda net, a, b, y: net.transform(a, "b"), "modality b has 8"),
        (lambda net, a, b, y: net.transform(a, b), "modality is ndarray; it is one of a, b"),
        (lambda net, a, b, y: CMIRNet(**SHORT).fit(a, b), r"y \(80, 8\): .*; give Xa, Xb, y or X, y"),
        (lambda net, a, b, y: CMIRNet(stage1_epochs=10**6).fit_transform(a, b[:9], (y, y[:9])), "inconsistent numbers"),
        *(
            (lambda net, a, b, y, call=call: call(net, a.astype(float) * 1e300, b, y), r"values as large as .*e\+300")
            for call in (
                lambda net, a, b, y: net.transform(a, "a"),
                lambda net, a, b, y: net.transform(np.hstack([a, b])),
                lambda net, a, b, y: net.kneighbors(a, "a"),
                lambda net, a, b, y: net.score(a, b, y),
            )
        ),
        (lambda net, a, b, y: net.kneighbors(a, "a", 0), "k"),
        (lambda net, a, b, y: CMIRNet(**SHORT).fit(a, b[:5], y), "inconsistent numbers of samples"),
        (lambda net, a, b, y: CMIRNet(columns_a=18, **SHORT).fit(np.hstack([a, b]), y), "18 are a's"),
        *(
            (lambda net, a, b, y, n=n: CMIRNet(columns_a=n, **SHORT).fit(np.hstack([a, b]), y), f"of which {n} are a's")
            for n in (2.5, "3")
        ),
        (lambda net, a, b, y: CMIRNet(**SHORT).fit(a), "requires y"),
        (lambda net, a, b, y: CMIRNet(**SHORT).fit(a, b, (y, np.full(80, "harbor"))), "label 'forest' of a: no sample"),
        (lambda net, a, b, y: CMIRNet(**SHORT).fit(a, b, 0.999 * np.eye(4)[np.arange(80) % 4]), "other than 0 and 1"),
        (lambda net, a, b, y: net.score(a, b, np.full((80, 4), np.nan)), "other than 0 and 1"),
        (lambda net, a, b, y: CMIRNet(**SHORT).fit(a, b, (np.eye(4)[np.arange(80) % 4], y)), "of a and b: .*for both"),
        (lambda net, a, b, y: CMIRNet(**SHORT).fit(a, b, (np.eye(80)[:, :3], np.eye(80)[:, :4])), "for both"),
        (lambda net, a, b, y: CMIRNet(**SHORT).fit(a.astype(float) * 1e39, b, y), "modality a has values as large as"),
        (lambda net, a, b, y: net.kneighbors(a, "a", 2.5), "k: expected a whole number from 1, got 2.5"),
    ],
)
def test_what_does_not_fit_is_a_value_error(fitted, world, call, says):
    with pytest.raises(ValueError, match=says):
        call(fitted, *world)


@pytest.mark.parametrize("offset", [1e7, -1e9])
def test_an_offset_swallows_no_differences(world, fitted, offset):
    """float32 rounds such numbers to whole ones, or to 64."""
    a, b, y = world
    moved = CMIRNet(d_v=8, seed=1, **LONG).fit(a + np.float64(offset), b, y)
    assert moved.score(a + np.float64(offset), b, y) == pytest.approx(fitted.score(a, b, y), abs=0.02)
    v = moved.transform(a[:5] + np.float64(offset), "a")
    np.testing.assert_allclose(v, fitted.transform(a[:5], "a"), atol=0.05 * np.abs(v).max())
