"""`python -m cmir_ref`, and the program `cmir-ref`."""

import signal
import sys


def main() -> None:
    """Runs the command line; an interruption while it is still being loaded is one line, too."""
    try:
        from .cli import main as run

        run()
    except KeyboardInterrupt:  # while the command line is still being loaded, or has just ended
        if sys.stderr is not None:
            print("interrupted", file=sys.stderr)
        sys.exit(130)
    finally:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # too late: the exit status is decided, Python only tidies up
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)


if __name__ == "__main__":
    main()
