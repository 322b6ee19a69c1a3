"""Standard streams as users have them: closed, without a reader, on a full disk, in an old encoding, into a log."""

import codecs
import io
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import NoReturn

from .errors import InputError

IN_ASCII = {  # what this package prints beside letters
    "·": "-", "…": "...", "–": "-", "—": "-", "−": "-", "→": "->", "×": "x", "≤": "<=", "≥": ">=", "≈": "~",
    "±": "+-", "‖": "||", "²": "^2", "³": "^3", "ᵀ": "^T", "√": "sqrt", "∂": "d", "∇": "grad ", "°": " deg",
}  # fmt: skip


HUSHED = Lock()  # a second thread would take the null device for the stream to go back to


class LastingStream(io.TextIOWrapper):
    """A standard stream that outlives its reader: from the first failure on, what is written goes nowhere.

    So a closed pipe or a full disk behind a log does not end the work. The first `failure` is kept.
    """

    failure: OSError | None = None

    def write(self, text: str) -> int:
        """Writes `text`, and returns its length."""
        try:
            return super().write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Hands on what was written."""
        try:
            super().flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.failure = self.failure or error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        with suppress(OSError):
            super().flush()  # what was left in the buffer


def prepare_streams() -> None:
    """Makes the standard streams of this process ones that a program can write to, whatever was done to them.

    Those that are closed become the null device, before a file can take their number. None raises an error for a
    character that its encoding lacks: `spell_out` is written in its place. In a notebook, whose streams are not those
    of the process, nothing is changed.
    """
    codecs.register_error("cmir_ref.spell_out", spell_out)
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # which takes the lowest number that is free
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process lives
        elif type(stream) is io.TextIOWrapper:
            look = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
            encoding = stream.encoding
            setattr(sys, name, LastingStream(stream.detach(), encoding, "cmir_ref.spell_out", **look))


@contextmanager
def hush_libraries() -> Iterator[None]:
    """While the body runs, what libraries write to this process's standard error by themselves goes nowhere.

    A panic in Rust writes lines there before Python learns of it. For short calls: one thread at a time is let in.
    """
    with HUSHED:
        if sys.stderr is not None:
            sys.stderr.flush()
        try:
            kept = os.dup(2)
        except OSError:  # closed, as that of a service may be
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def finish_streams() -> OSError | None:
    """Hands on what was printed; gives what went wrong on standard output, unless its reader had enough."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    failure = getattr(sys.stdout, "failure", None)
    return None if isinstance(failure, BrokenPipeError) else failure


def run_module(usage: str, work: Callable[..., object]) -> NoReturn:
    """What `python -m` of a module of this package does: calls `work` with its words and ends the process.

    `usage` is the whole command, a name in it for each word. Other words, bad input and what cannot be written end in
    one line and status 2, an interruption in 130, as in `cmir-ref`.
    """
    prepare_streams()
    words, status, problem = sys.argv[1:], 0, None
    try:
        if words in (["-h"], ["--help"]):
            print(f"usage: {usage}")
        elif len(words) != len(usage.split()) - 3 or any(word.startswith("-") for word in words):
            status, problem = 2, f"usage: {usage}"
        else:
            work(*words)
    except InputError as error:
        status, problem = 2, error
    except OSError as error:  # a full disk, a folder without permission
        status, problem = 2, f"{error.filename}: {error.strerror}" if error.filename else error
    except KeyboardInterrupt:
        status = 130
        print("interrupted", file=sys.stderr)
    failure = finish_streams()
    if failure is not None:
        status, problem = 2, f"standard output: cannot be written ({failure.strerror})"
    if problem is not None:
        print(f"error: {' '.join(str(problem).split())}", file=sys.stderr)
        sys.stderr.flush()
    sys.exit(status)


def spell_out(error: UnicodeError) -> tuple[str, int]:
    r"""A handler of codecs for what an encoding lacks: → as "->", α as "alpha", a byte of a name as "\xe9"."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_spelled, error.object[error.start : error.end])), error.end


def _spelled(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python keeps a byte of a file name that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character in IN_ASCII:
        return IN_ASCII[character]
    kind, _, letter = unicodedata.name(character, "").partition(" LETTER ")
    if kind == "GREEK SMALL" and letter.isalpha():
        return letter.lower()
    if kind == "GREEK CAPITAL" and letter.isalpha():
        return letter.capitalize()
    return character.encode("ascii", "backslashreplace").decode()
