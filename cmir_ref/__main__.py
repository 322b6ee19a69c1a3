"""`python -m cmir_ref`, and the program `cmir-ref`."""

import signal
import sys


def main() -> None:
    """Runs the command line; an interruption while it is still being loaded is one line, too."""
    try:
        from .cli import main as run
        from .parallel import STOPS
    except KeyboardInterrupt:
        if sys.stderr is not None:
            print("interrupted", file=sys.stderr)
        sys.exit(130)
    try:
        run()
    finally:
        for number in STOPS:  # too late: the exit status is decided, and Python only tidies up
            signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
