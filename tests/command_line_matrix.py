"""Every command under what shells and machines do to it: `python tests/command_line_matrix.py [COMMAND …]`.

Prints a Markdown table of exit status and last line: with its output closed, its disk full, its folder read-only, a
second process beside it, and interrupted at ten moments. A page, which lasts, gets a ^C once it is there. It ends with
1 where one of them shows a traceback, dies of a signal, says more than a line or leaves something half-written.
`test_machines.py` runs a cheap part.
"""

import argparse
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import worlds

from cmir_ref.data.ucmerced import CLASS_NAMES

TESTS = Path(__file__).parent
BEGIN = f"""
import sys
sys.path[:0] = [{str(TESTS.parent)!r}, {str(TESTS)!r}]
if "replicate" in sys.argv or "demo" in sys.argv:
    try:
        import worlds
        from cmir_ref import demo
        from cmir_ref.replicate import run
        from cmir_ref.replicate.worlds import SCALE_BY_NAME
        run.EXPERIMENTS = ("readings",)
        SCALE_BY_NAME["small"] = worlds.SCALE
        demo.demo.__kwdefaults__["side_epochs"] = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
from cmir_ref.__main__ import main
main()
"""  # what takes minutes takes seconds here
TINY = [
    word for change in worlds.overrides("d_z=16", "stage1.epochs=2", "stage2.epochs=2") for word in ("--set", change)
]
SHORT = ("stage1.epochs=1", "stage1.batch_size=16", "stage1.average_views=false", "stage2.epochs=1")
DEMO = {"pan-mul": ("scenes=24", *SHORT)} | dict.fromkeys(("image-speech", "photo-sketch"), ("scenes=84", *SHORT))
PAIR = "import numpy as np\ndef f(x): return x * x, x\ndef f_backward(dy, x): return 2 * x * dy\n"
MOMENTS = 10


class Command(NamedTuple):
    """Words of a command line, run in a copy of `place`; whether they write below it."""

    words: tuple[str, ...]
    writes: bool = True


def commands(place: Path) -> dict[str, Command]:
    """Every command, with the files that `prepare` has put into `place`."""
    data, pair = str(place / "data"), str(place / "pair.py:f")
    demo = [word for s, changes in DEMO.items() for change in changes for word in ("--set", f"{s}.{change}")]
    query = str(place / "data" / "Images" / "beach" / "beach00.tif")
    serve = ("serve", "run", "--no-browser", "--port", str(free_port()))
    replicate = ("replicate", "readings", "--data", data, "--jobs", "2", "--out", "lab")
    return {
        "train": Command(("train", "image-speech", "--data", data, "--out", "new", *TINY)),
        "train --resume": Command(("train", "image-speech", "--data", data, "--out", "run", "--resume", *TINY)),
        "demo": Command(("demo", "--out", "demo", *demo)),
        "evaluate --html": Command(("evaluate", "run", "--html", "page.html")),
        "evaluate --json": Command(("evaluate", "run", "--json"), False),
        "retrieve --html": Command(("retrieve", "run", query, "--html", "page.html")),
        "locate --html": Command(("locate", "run", query, f"{data}/speech.mat:3", "--html", "page.html")),
        "serve": Command(serve, False),
        "serve --keep": Command((*serve, "--keep", "kept")),
        "features": Command(("features", str(place / "data" / "Images" / "beach"), "features", "--size", "32")),
        "gradcheck": Command(("gradcheck", "linear", "relu", "softmax"), False),
        "gradcheck --plot": Command(("gradcheck", "--module", pair, "--input", "4x3", "--plot", "steps.png")),
        "replicate": Command(replicate),
        "samples": Command(("samples", "land-cover", "scenes", "--count", "24")),
        "samples speech": Command(("samples", "speech", "spoken")),
        "bench --json": Command(("bench", "latent", "--repeats", "1", "--json"), False),
        "presets": Command(("presets",), False),
        "presets NAME": Command(("presets", "pan-mul"), False),
        "lessons": Command(("lessons",), False),
        "doctor --json": Command(("doctor", "--json"), False),
    }


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def prepare(place: Path) -> None:
    """Puts data, a run that has ended and a pair of functions into `place`."""
    worlds.write_speech_features(worlds.write_ucmerced(place / "data", CLASS_NAMES, count=3))
    (place / "pair.py").write_text(PAIR)
    done = start(commands(place)["train"].words, place).communicate()
    assert (place / "new" / "report.html").exists(), done
    (place / "new").rename(place / "run")


def start(words: tuple[str, ...], cwd: Path, **settings) -> subprocess.Popen:
    """The command at work, in a group of processes of its own, as a terminal would give it."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "CMIR_CACHE": str(cwd / "cache"), "COLUMNS": "100"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | settings
    return subprocess.Popen([sys.executable, "-c", BEGIN, *words], cwd=cwd, env=env, start_new_session=True, **pipes)


class End(NamedTuple):
    """How a command ended: exit status, the lines it said on standard error, and what it left half-written."""

    status: int
    lines: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def last(self) -> str:
        return self.lines[-1] if self.lines else ""

    @property
    def faults(self) -> list[str]:
        """What no user should see."""
        found = ["a traceback"] * any(re.match(r"Traceback|Exception ignored|\w*Error\b", line) for line in self.lines)
        return found + [f"left {name}" for name in self.left] + [f"killed by {-self.status}"] * (self.status < 0)


def finish(process: subprocess.Popen, cwd: Path) -> End:
    """Waits for the end of a command, five minutes at most; hidden files are what it left half-written."""
    try:
        if wait_for_page(process):
            os.kill(process.pid, signal.SIGINT)
        err = process.communicate(timeout=300)[1] or b""
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        err = process.communicate()[1] + b"\nError: it hangs"
    left = {p.name for p in cwd.rglob(".*") if not (p.name.endswith(".lock") and cwd / "cache" == p.parent)}
    return End(process.returncode, tuple(filter(None, err.decode().splitlines())), tuple(sorted(left)))


def wait_for_page(process: subprocess.Popen) -> bool:
    """Whether a command serves a page: waits until it answers, or has ended, two minutes at most."""
    words, patience = list(process.args), time.monotonic() + 120
    if "--port" not in words:
        return False
    while process.poll() is None and time.monotonic() < patience:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{words[words.index('--port') + 1]}", timeout=5):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:  # nobody listens yet, or nobody answers
            time.sleep(0.05)
    return False


@contextmanager
def workplace(place: Path) -> Iterator[Path]:
    """A copy of the finished run in a folder of its own, removed afterwards."""
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        shutil.copytree(place / "run", Path(folder) / "run")
        yield Path(folder)


# ---- what shells and machines do -------------------------------------------------------------------------------------


def closed_output(words: tuple[str, ...], cwd: Path) -> End:
    """Nobody reads standard output or standard error: the status alone says how it went."""
    readers, writers = zip(os.pipe(), os.pipe(), strict=True)
    for reader in readers:
        os.close(reader)
    process = start(words, cwd, stdout=writers[0], stderr=writers[1])
    for writer in writers:
        os.close(writer)
    return finish(process, cwd)


def no_streams(words: tuple[str, ...], cwd: Path) -> End:
    """Standard input, output and error are not even open."""
    return finish(start(words, cwd, preexec_fn=lambda: os.closerange(0, 3)), cwd)


def full_disk(words: tuple[str, ...], cwd: Path) -> End:
    """No file can grow beyond 2000 bytes."""
    return finish(start(words, cwd, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))), cwd)


def full_output(words: tuple[str, ...], cwd: Path) -> End:
    """Standard output goes to a full disk."""
    with open("/dev/full", "wb") as full:
        return finish(start(words, cwd, stdout=full), cwd)


def read_only(words: tuple[str, ...], cwd: Path) -> End:
    """The folder and the run in it cannot be written, even by root."""
    drop = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"] if os.geteuid() == 0 else []
    env = os.environ | {"OMP_NUM_THREADS": "1", "CMIR_CACHE": str(cwd / "cache"), "HOME": str(cwd)}
    for folder in (cwd, cwd / "run"):
        folder.chmod(0o555)
    try:
        command = [*drop, sys.executable, "-c", BEGIN, *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return finish(subprocess.Popen(command, cwd=cwd, env=env, **pipes), cwd)
    finally:
        for folder in (cwd, cwd / "run"):
            folder.chmod(0o755)


def second_process(words: tuple[str, ...], cwd: Path) -> End:
    """The same command is started while the first is at work, with `--resume` for a training that has begun."""
    first, patience = start(words, cwd), time.monotonic() + 60
    if words[0] in ("train", "demo", "replicate"):
        while not list(cwd.glob("*/.lock")) and first.poll() is None and time.monotonic() < patience:
            time.sleep(0.02)
    wait_for_page(first)
    again = (*words, "--resume") if words[0] == "train" and "--resume" not in words else words
    second = start(again, cwd)
    err = second.communicate(timeout=600)[1].decode()
    ended = finish(first, cwd)
    lines = tuple(filter(None, err.splitlines())) if second.returncode else ended.lines
    return End(second.returncode or ended.status, lines, ended.left)


def interrupt(words: tuple[str, ...], cwd: Path, number: int, after: float) -> End:
    """Sends a signal `after` seconds: SIGINT to all processes, as a terminal does, another to the first alone."""
    process = start(words, cwd)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    return finish(process, cwd)


CONDITIONS: dict[str, Callable[[tuple[str, ...], Path], End]] = {
    "output without a reader": closed_output,
    "streams closed": no_streams,
    "disk full": full_disk,
    "output on a full disk": full_output,
    "folder read-only": read_only,
    "a second process": second_process,
}


def interruptions(command: Command, place: Path, number: int) -> tuple[str, list[str]]:
    """(statuses and last lines, faults) of a command that gets the signal at ten moments of its time."""
    with workplace(place) as cwd:
        begun = time.monotonic()
        finish(start(command.words, cwd), cwd)
        whole = time.monotonic() - begun
    ends = []
    for k in range(MOMENTS):
        with workplace(place) as cwd:
            ends.append(interrupt(command.words, cwd, number, 0.15 + (whole - 0.15) * k / MOMENTS))
    faults = [f"{fault} at {k}" for k, end in enumerate(ends) for fault in end.faults if not early(end, number)]
    faults += [f"status {e.status} at {k}" for k, e in enumerate(ends) if e.status not in (0, 128 + number, -number)]
    faults += [f"{len(e.lines)} lines at {k}" for k, e in enumerate(ends) if talks(e)]
    counts = Counter((end.status, "" if end.status == 0 else last_line(end)) for end in ends)
    return "; ".join(f"{n} × {status} {line}".strip() for (status, line), n in counts.items()), faults


def early(end: End, number: int) -> bool:
    """Whether Python itself had not begun our program: it then dies of the signal, before anything was written."""
    return end.status in (-number, 1) and not end.left and "cmir_ref" not in " ".join(end.lines)


def talks(end: End) -> bool:
    """Whether an interruption is said more than once."""
    return sum(line.startswith(("interrupted", "terminated")) for line in end.lines) > 1


def last_line(end: End) -> str:
    """The last line with what differs from run to run left out."""
    return re.sub(r"pid \d+", "pid …", re.sub(r"\d+\.\d s|\d+ s", "… s", end.last))[:110].replace("|", "¦")


def main() -> int:
    """Prints the table of the commands that were named, or of all; 1 where there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help="In quotes, as 'train --resume'; default: all.")
    wanted, faults = parser.parse_args().commands, []
    if unknown := set(wanted) - commands(Path()).keys():
        parser.error(f"{', '.join(unknown)}: no such command; they are {', '.join(commands(Path()))}")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "place"
        place.mkdir()
        prepare(place)
        print("| command | condition | exit status and last line |\n|---|---|---|")
        for name, command in commands(place).items():
            if wanted and name not in wanted:
                continue
            for condition, happens in CONDITIONS.items():
                with workplace(place) as cwd:
                    end = happens(command.words, cwd)
                print(f"| {name} | {condition} | {end.status} {last_line(end)} |", flush=True)
                faults += [f"{name}, {condition}: {fault}" for fault in end.faults]
            for signal_name in ("SIGINT", "SIGTERM"):
                text, found = interruptions(command, place, getattr(signal, signal_name))
                print(f"| {name} | {signal_name}, {MOMENTS} moments | {text} |", flush=True)
                faults += [f"{name}, {signal_name}: {fault}" for fault in found]
    print("\n".join(["", *faults]))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
