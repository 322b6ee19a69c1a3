"""`python -m cmir_ref.data.samples OUT`: the generated part of `data_samples/` in a new folder.

A file of its own: the package has imported the folder's other file by then, which Python would warn of.
"""

from ...streams import run_module
from . import write_bundled

if __name__ == "__main__":
    run_module("python -m cmir_ref.data.samples OUT", write_bundled)
