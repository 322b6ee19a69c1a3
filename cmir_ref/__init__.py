"""CMIR-NET in plain NumPy: cross-modal remote-sensing retrieval with every gradient derived by hand.

config = load_config("image-speech")
run = train(config, load_data(config, "path/to/data"), "runs/mine")
evaluate(run)["directions"]["a->b"]["map"]
retrieve(run, "river42.tif", to="b", k=10)
check_gradient(my_op, my_op_backward, [x, w])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import load_config
    from .data import load_data
    from .gradcheck import check_gradient
    from .runs import evaluate, load_run, train
    from .search import retrieve

__all__ = ["check_gradient", "evaluate", "load_config", "load_data", "load_run", "retrieve", "train"]

PLACES = {
    "check_gradient": "gradcheck",
    "evaluate": "runs",
    "load_config": "config",
    "load_data": "data",
    "load_run": "runs",
    "retrieve": "search",
    "train": "runs",
}


def __getattr__(name: str) -> Any:
    """The public functions, loaded when one is first asked for: so the command line can hear Ctrl-C from the start."""
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{PLACES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
