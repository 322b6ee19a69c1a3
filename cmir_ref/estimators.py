"""CMIR-NET with the face of scikit-learn (extra `sklearn`), for whoever has vectors of two modalities already.

net = CMIRNet(d_v=64).fit(Xa, Xb, y)
net.transform(Xa, modality="a")            (n, 64) in the common space
net.kneighbors(Xb, modality="b", k=5)      distances and rows of Xa that are nearest
net.score(Xa, Xb, y)                       mean average precision of both directions

What is made for one array, as `GridSearchCV` and `Pipeline`, gets both modalities side by side: fit(np.hstack([Xa,
Xb]), y) with `columns_a` columns of a, or half of them unless told.
"""

import inspect
import warnings
from numbers import Integral
from typing import Any

import numpy as np

from . import runs
from .cmirnet import system
from .cmirnet.settings import CmirnetSettings
from .config import load_config
from .data.features import in_floats
from .errors import InputError
from .records import Dataset, Modality, Run, Splits
from .retrieval import evaluate_direction, nearest
from .settings_text import list_settings
from .training.folder import Folder

try:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.exceptions import UndefinedMetricWarning
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "scikit-learn is not installed: pip install 'cmir-ref[sklearn]'", name="sklearn"
    ) from error

PRESET = "image-speech"  # whose values are the defaults
OF_FILES = frozenset(  # settings of files and their parts, of images, sounds and devices: they change nothing here
    (
        *(
            "system",
            "scenario",
            "dataset",
            "sensors",
            "tile",
            "scenes",
            "scenes_seed",
            "speech",
            "speech_voice",
            "image_size",
        ),
        *("sample_axis", "band_axis", "protocol", "gallery", "test_share", "block_order", "batch_norm", "fused"),
        *("trunk", "trunk_training", "trunk_weights", "trunk_size", "trunk_views"),
        *("stage1.augment", "stage1.light", "stage1.crops", "stage1.cut_out"),
        *("stage1.average_views", "stage1.average_tempos"),
        *("normalise_sounds", "stage1.voices", "stage1.sound_passes", "stage1.redraw"),
        *("sketches", "classes", "split", "keywords", "start_from", "stage2.graph"),
    )
)


def setting_names() -> dict[str, str]:
    """The parameters of `CMIRNet` that are settings, and the setting of each: stage2_lr is stage2.lr."""
    names = (s.name for s in list_settings(CmirnetSettings))
    return {name.replace(".", "_"): name for name in names if name not in OF_FILES}


def default_values() -> dict[str, Any]:
    """What the preset gives each of them."""
    config, values = load_config(PRESET), {}
    for parameter, setting in setting_names().items():
        value = config
        for part in setting.split("."):
            value = getattr(value, part)
        values[parameter] = value
    return values


def init_signature() -> inspect.Signature:
    """What `CMIRNet` takes: scikit-learn reads the names of parameters, and `help` shows the defaults, from here."""
    kinds = inspect.Parameter
    own = [kinds(n, kinds.KEYWORD_ONLY, default=v) for n, v in (default_values() | {"columns_a": None}).items()]
    return inspect.Signature([kinds("self", kinds.POSITIONAL_OR_KEYWORD), *own])


class OfBoth(TransformerMixin, BaseEstimator):
    """What is made of one array of both modalities: scikit-learn wraps it, to name its columns (`set_output`)."""

    def transform(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        x = validate_data(self, X, reset=False, dtype=np.float64)
        a = self.widths_["a"]
        return np.hstack([self._embed("a", x[:, :a]), self._embed("b", x[:, a:])])


class OfEither:
    """The same for one modality by its letter, which has other columns: always an array."""

    def transform(self, X: Any, modality: str | None = None) -> np.ndarray:
        """Embeddings (n, d_v) of rows of a modality; of an array of both modalities theirs side by side, (n, 2 d_v)."""
        if modality is None:
            return super().transform(X)
        check_is_fitted(self)
        return self._embed(modality, self._side(modality, X))


class CMIRNet(OfEither, OfBoth):
    """Two modalities of vectors in one space, learned from labels that they share.

    Parameters are the settings of a run that act on vectors, a dot written as an underscore (`weights_alignment`,
    `stage2_epochs`); `docs/settings.md` says what each does, and the defaults are those of the preset image-speech.
    `columns_a` says how many columns of one array are modality a's.

    Attributes after `fit`: `run_` (see `records.Run`), `classes_`, `embeddings_` by letter, `n_features_in_`, the
    columns of both modalities together, `widths_`, those of each, and `columns_`, their names where they have any.
    """

    def __init__(self, **parameters: Any):
        known = inspect.signature(type(self)).parameters
        for name in parameters:
            if name not in known:
                raise TypeError(f"CMIRNet() has no parameter {name!r}")
        for name, parameter in known.items():
            setattr(self, name, parameters.get(name, parameter.default))

    __init__.__signature__ = init_signature()

    # ---- learning ---------------------------------------------------------------------------------------------------

    def fit(self, Xa: Any, Xb: Any = None, y: Any = None) -> "CMIRNet":
        """Learns from rows of a (n, p) and b (n, q) that belong together, with labels y (n,), or (n, K) of 0 and 1.

        Where the modalities are not paired, as images and spoken words, their numbers of rows differ and y is a pair
        (y_a, y_b). With two arguments these are one array of both, and y. A share `validation_share` of the rows
        chooses the best epoch. Raises `ValueError` for shapes, labels and parameters that do not fit.
        """
        x_a, x_b, y = self._arrays(Xa, Xb, y)
        paired = not is_pair(y)
        labels_a, labels_b, self.classes_ = self._labels((y, y) if paired else y, len(x_a), len(x_b))
        names = tuple(map(str, self.classes_))
        sides = {"a": (x_a, labels_a), "b": (x_b, labels_b)}
        modalities = {m: rows_of(m, x, labels) for m, (x, labels) in sides.items()}
        pairing = np.stack([np.arange(len(x_a))] * 2, axis=1) if paired else None
        try:
            config = self._settings()
            self.run_ = train_on_all(config, Dataset(modalities, names, pairing))
        except InputError as error:
            raise ValueError(str(error)) from error
        self.n_features_in_ = sum(self.widths_.values())
        self.embeddings_ = {m: self._embed(m, x) for m, (x, _) in sides.items()}
        self.n_iter_ = len(self.run_.history)
        return self

    def fit_transform(self, Xa: Any, Xb: Any = None, y: Any = None) -> np.ndarray:
        """`fit`, then `transform` of one array of both; with two modalities their embeddings side by side."""
        if Xb is None or y is None:
            return self.fit(Xa, Xb, y).transform(Xa)
        check_consistent_length(Xa, Xb)
        self.fit(Xa, Xb, y)
        return np.hstack([self.transform(Xa, "a"), self.transform(Xb, "b")])

    # ---- searching --------------------------------------------------------------------------------------------------

    def kneighbors(self, X: Any, modality: str = "a", k: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """(distances, rows), (n, k) each: the rows of the other modality that `fit` saw and that are nearest to X's.

        k beyond the rows that `fit` saw is cut to their number. Distances that are closer than rounding are equal (see
        `retrieval.distances`).
        """
        v, other = self.transform(X, modality), "b" if modality == "a" else "a"
        try:
            rows, distances = nearest(v, self.embeddings_[other], k, distance=self.distance)
        except InputError as error:
            raise ValueError(str(error)) from error
        return distances, rows

    def score(self, Xa: Any, Xb: Any = None, y: Any = None) -> float:
        """The mean average precision of a -> b and b -> a among these rows, a shared label being relevant.

        Queries that have no relevant item are left out; NaN, with a warning, where none has one.
        """
        check_is_fitted(self)
        x_a, x_b, y = self._arrays(Xa, Xb, y, reset=False)
        y_a, y_b = y if is_pair(y) else (y, y)
        v = {"a": self._embed("a", x_a), "b": self._embed("b", x_b)}
        labels = dict(zip("ab", shared_labels(label_array(y_a), label_array(y_b), self.classes_), strict=True))
        found = [
            evaluate_direction(v[p], labels[p], v[q], labels[q], distance=self.distance)["map"] for p, q in ("ab", "ba")
        ]
        if None in found:  # relevance is mutual: then it is both
            warnings.warn("no row shares a label with one of the other modality: no score", UndefinedMetricWarning, 2)
            return float("nan")
        return float(np.mean(found))

    # ---- what is common ---------------------------------------------------------------------------------------------

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The names of the columns that `transform` makes of one array of both modalities."""
        check_is_fitted(self)
        return np.array([f"v_{m}{i}" for m in "ab" for i in range(self.embeddings_[m].shape[1])], dtype=object)

    def _settings(self) -> CmirnetSettings:
        """The parameters as settings; raises `InputError` for a value that a setting does not take."""
        values: dict[str, Any] = {}
        for parameter, setting in setting_names().items():
            *table, name = setting.split(".")
            (values.setdefault(table[0], {}) if table else values)[name] = getattr(self, parameter)
        return load_config(PRESET, **values | {"dataset": "features", "speech": "speech-features", "protocol": "paper"})

    def _arrays(self, Xa, Xb, y, reset: bool = True):
        """(rows of a, rows of b, y) of either form of the arguments."""
        if Xb is None or y is None:
            both, y = Xa, Xb if y is None else y
            if y is None:
                raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
            x = validate_data(self, both, reset=reset, dtype=np.float64)
            a = x.shape[1] // 2 if self.columns_a is None else self.columns_a
            a = a if reset else self.widths_["a"]
            if not (isinstance(a, Integral) and 0 < a < x.shape[1]):
                raise ValueError(f"{x.shape[1]} feature(s) of both modalities together, of which {a} are a's")
            if reset:
                self.widths_, names = {"a": int(a), "b": x.shape[1] - int(a)}, column_names(both)
                self.columns_ = {"a": names[:a], "b": names[a:]}
            return x[:, :a], x[:, a:], y
        if reset:
            self.__dict__.pop("feature_names_in_", None)  # of an earlier fit, of one array
            self.widths_ = {m: check_array(x, dtype=np.float64).shape[1] for m, x in (("a", Xa), ("b", Xb))}
            self.columns_ = {"a": column_names(Xa), "b": column_names(Xb)}
        return self._side("a", Xa), self._side("b", Xb), y

    def _side(self, modality: str, X: Any) -> np.ndarray:
        """Rows of one modality as an array; raises `ValueError` for columns that are not those which `fit` saw."""
        x = check_array(X, dtype=np.float64)
        if not (isinstance(modality, str) and modality in self.widths_):
            found = repr(modality) if isinstance(modality, str | int) else type(modality).__name__
            raise ValueError(f"modality is {found}; it is one of a, b")
        if x.shape[1] != self.widths_[modality]:
            raise ValueError(f"X has {x.shape[1]} features, but modality {modality} has {self.widths_[modality]}")
        for seen, given in zip(self.columns_[modality], column_names(X), strict=False):
            if seen != given:
                raise ValueError(f"X of modality {modality} has the column {given!r} where fit saw {seen!r}")
        return x

    def _labels(self, y, n_a: int, n_b: int):
        """Labels of both modalities as `records.Modality` has them, and the classes."""
        found = [label_array(part) for part in y]
        for part, n in zip(found, (n_a, n_b), strict=True):
            check_consistent_length(np.empty(n), part)
        one, other = (part.shape[1:] for part in found)
        if one != other:
            raise ValueError(f"y of a and b: {found[0].shape} and {found[1].shape}; expected (n,) or (n, K) for both")
        if one:
            return *found, np.arange(*one)
        classes = np.unique(np.concatenate(found))
        return *(np.searchsorted(classes, part) for part in found), classes

    def _embed(self, modality: str, x: np.ndarray) -> np.ndarray:
        """Embeddings in float64: a row alone and in a batch agree to its last digits."""
        check_range(modality, x)
        return system.encode(self.run_, modality, x)["v"]


def column_names(X: Any) -> list:
    """The names of the columns of a data frame; none of what is no frame, or has numbers for names."""
    names = list(getattr(X, "columns", ()))
    return names if all(isinstance(name, str) for name in names) else []


def is_pair(y: Any) -> bool:
    """Whether y is (y_a, y_b), and not a tuple of labels."""
    return isinstance(y, tuple) and len(y) == 2 and all(np.ndim(part) > 0 for part in y)


def label_array(y: Any) -> np.ndarray:
    """Labels (n,), or rows (n, K) of 0 and 1 as uint8. Raises `ValueError` for others."""
    y = np.asarray(y)
    if y.ndim != 2 or y.shape[1] < 2:
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y").ravel()
        check_classification_targets(y)
        return y
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"y {y.shape}: rows of several labels have values other than 0 and 1; give Xa, Xb, y or X, y")
    return y.astype(np.uint8)


def shared_labels(y_a: np.ndarray, y_b: np.ndarray, classes: np.ndarray) -> list[np.ndarray]:
    """Labels of both modalities as numbers, equal where they are, also of a class that `fit` never saw; of rows of 0
    and 1 beside classes those become rows, too."""
    if y_a.ndim == y_b.ndim == 1:
        known = np.unique(np.concatenate([y_a, y_b]))
        return [np.searchsorted(known, y) for y in (y_a, y_b)]
    return [y if y.ndim == 2 else (y[:, None] == classes).astype(np.uint8) for y in (y_a, y_b)]


def rows_of(m: str, x: np.ndarray, labels: np.ndarray) -> Modality:
    """Rows (n, p) as a modality, in float32 where that holds their differences. Raises `ValueError` beyond it."""
    check_range(m, x)
    names = tuple(map(str, range(len(x))))
    return Modality(m, "features", in_floats(x), labels, names, None, np.zeros(len(x), int))


def check_range(m: str, x: np.ndarray) -> None:
    """Raises `ValueError` for numbers beyond float32, in which the networks learn."""
    if np.abs(x).max() > np.finfo(np.float32).max:
        raise ValueError(f"X of modality {m} has values as large as {np.abs(x).max():.1e}; float32 ends at 3.4e38")


def train_on_all(config: CmirnetSettings, data: Dataset) -> Run:
    """The run of all stages on all rows: no test part, and a validation part drawn from them.

    Where there are so few rows that none is left for it, the training part validates.
    """
    rng = np.random.default_rng([config.seed, 1])
    counts = {m: len(modality.x) for m, modality in data.modalities.items()}
    orders = {m: rng.permutation(n) for m, n in counts.items()}
    if data.pairing is not None:
        orders["b"] = orders["a"]
    parts: dict[str, dict[str, np.ndarray]] = {"train": {}, "validation": {}, "test": {}}
    for m, order in orders.items():
        held = round(config.validation_share * len(order))
        enough = data.pairing is not None and held > 0 and len(order) - held > 1
        parts["train"][m] = np.sort(order[held:] if enough else order)
        parts["validation"][m] = np.sort(order[:held] if enough else order)
        parts["test"][m] = np.empty(0, int)
    splits, folder, made = Splits(**parts), Folder.open(None, config, False), {}
    for stage in runs.stages_of(config, data):
        last = runs.train_stage(stage, config, data, splits, made, folder)
        made |= last
    return runs.finished_run(config, data, splits, last, folder)
