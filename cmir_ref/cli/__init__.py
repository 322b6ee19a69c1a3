"""The command line: thin calls of the functions a notebook uses."""

import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from ..errors import InputError
from ..parallel import STOPS
from ..progress import hush_numpy, on_terminal, tell
from ..streams import finish_streams, prepare_streams
from . import measuring, searching, training, writing
from .shared import complain

app = typer.Typer(
    name="cmir-ref",
    help="Cross-modal remote-sensing retrieval in plain NumPy, every gradient derived by hand: CMIR-NET, its successor "
    "for drawings, AMFMN for sentences.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
UsageError = typer.BadParameter.__base__  # what Typer raises where words are missing, unknown or not among the choices

for command in (  # in the order in which `--help` lists them
    training.command_demo,
    training.command_train,
    training.command_presets,
    searching.command_evaluate,
    searching.command_retrieve,
    searching.command_serve,
    searching.command_locate,
    writing.command_features,
    measuring.command_gradcheck,
    writing.command_samples,
    measuring.command_bench,
    measuring.command_replicate,
    writing.command_lessons,
    measuring.command_doctor,
):
    app.command(command.__name__.removeprefix("command_"))(command)


def main() -> None:
    """Runs the command line. Bad words, bad input and a missing GPU end in one line and exit status 2.

    So does an interruption, with 130 (143 for a termination, 129 where the terminal is closed).
    """
    prepare_streams()
    received: list[int] = []
    try:
        with stop_on_signals(received):
            status = run_command(sys.argv[1:] or ["--help"])
    except KeyboardInterrupt as error:
        number = received[-1] if received else signal.SIGINT
        line = "; ".join(["interrupted" if number == signal.SIGINT else "terminated", *map(str, error.args)])
        tell(f"\n{line}" if on_terminal() else line)  # on a terminal ^C stands before it
        status = 128 + number
    failure = finish_streams()
    if failure is not None:
        status = complain(f"standard output: cannot be written ({failure.strerror})", 2)
    sys.exit(status)


def run_command(words: list[str]) -> int:
    """The exit status of a command line."""
    from concurrent.futures.process import BrokenProcessPool

    from ..backend import GPUUnavailable

    command = typer.main.get_command(app)
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"  # no line of source beside it
    hush_numpy()
    try:
        with command.make_context("cmir-ref", words) as context:
            command.invoke(context)
        return 0
    except (typer.Exit, SystemExit) as end:
        return end.exit_code if isinstance(end, typer.Exit) else end.code or 0
    except UsageError as error:
        return complain(error.format_message().replace("Value error, ", ""), 2)  # which Typer puts before choices
    except (InputError, GPUUnavailable) as error:
        return complain(error, 2)
    except FloatingPointError as error:
        return complain(error, 1)
    except BrokenProcessPool:
        return complain(
            "a process was killed (no memory left? fewer --jobs); the same command goes on, or begins anew", 1
        )
    except MemoryError as error:
        asked = f" ({error})" if str(error) else ""
        return complain(f"not enough memory{asked}; smaller images, widths or batches, or fewer samples", 1)
    except OSError as error:  # a full disk, a folder without permission
        return complain(f"{error.filename}: {error.strerror}" if error.filename else error, 2)


@contextmanager
def stop_on_signals(received: list[int]) -> Iterator[None]:
    """While the body runs an interruption, a termination and a closed terminal raise `KeyboardInterrupt`.

    So what is half-written is removed. The signals that come are put into `received`; what is ignored (`nohup`) stays
    so.
    """

    def stop(number: int, frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():  # no other may set handlers
        before = {number: signal.getsignal(number) for number in STOPS}
        before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
