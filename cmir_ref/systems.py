"""The systems by name. A paper's folder is added here, and nowhere else."""

from .amfmn.system import SYSTEM as AMFMN
from .attention.system import SYSTEM as ATTENTION
from .cmirnet.system import SYSTEM as CMIRNET
from .contract import System

SYSTEMS: dict[str, System] = {"cmirnet": CMIRNET, "attention": ATTENTION, "amfmn": AMFMN}
