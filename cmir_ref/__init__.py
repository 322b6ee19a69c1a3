"""CMIR-NET in plain NumPy: cross-modal remote-sensing retrieval with every gradient derived by hand.

config = load_config("image-speech")
run = train(config, load_data(config, "path/to/data"), "runs/mine")
evaluate(run)["directions"]["a->b"]["map"]
retrieve(run, "river42.tif", to="b", k=10)
check_gradient(my_op, my_op_backward, [x, w])
"""

from .config import load_config
from .gradcheck import check_gradient
from .runs import evaluate, load_data, load_run
from .search import retrieve
from .two_stages import train

__all__ = ["check_gradient", "evaluate", "load_config", "load_data", "load_run", "retrieve", "train"]
