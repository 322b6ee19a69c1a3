"""CMIR-NET in plain NumPy: cross-modal remote-sensing retrieval with every gradient derived by hand.

config = load_config("image-speech")
run = train(config, load_data(config, "path/to/data"), "runs/mine")
evaluate(run)["directions"]["a->b"]["map"]
retrieve(run, "river42.tif", to="b", k=10)
check_gradient(my_op, my_op_backward, [x, w])
"""

from .config import load_config
from .data import load_data
from .gradcheck import check_gradient
from .runs import evaluate, load_run, train
from .search import retrieve

__all__ = ["check_gradient", "evaluate", "load_config", "load_data", "load_run", "retrieve", "train"]
