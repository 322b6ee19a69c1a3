"""What processes that work for another one do first."""

import os
import signal
from multiprocessing import parent_process
from threading import Thread


def begin() -> None:
    """A worker ends without a word when interrupted, and with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()
