"""Plants one bug at a time, in memory, and runs the check that should find it.

A bug is planted by exchanging the code of the functions it changes, so every module that imported them sees it, and no
file is touched. `Checks` starts a process that collects the checks once; for each question it forks, so a bug ends with
its fork. A check that fails without any bug kills nothing. All are tests of the suite, where each must pass; that they
pass in a fork, too, the suite asks of one of each file, and `report.py` of all.
"""

import ast
import gc
import importlib
import inspect
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
BATTERY = {  # short names: "gradcheck:linear" is the first of these for the declaration "linear"
    "gradcheck": "test_the_backward_is_the_derivative",
    "upstream": "test_the_backward_is_linear_in_the_upstream",
    "replay": "test_a_replay_gives_the_same_bits",
    "purity": "test_nothing_is_written_to",
    "memory": "test_no_gradient_shares_memory_with_the_upstream",
    "float32": "test_float32_gives_float32",
}
BROKEN = ("NameError", "UnboundLocalError", "AttributeError", "ImportError", "SyntaxError")  # a typo, not a bug
LIMIT = 60  # seconds for one check; a bug that makes it hang is not killed


class Bug(NamedTuple):
    """A wrong text for a right one, and the check that finds it."""

    id: str
    file: str  # below cmir_ref
    old: str  # occurs once in the file
    new: str
    killer: str  # a test below tests/ (with or without its parameters), or a short name of `BATTERY`
    tags: tuple[str, ...] = ()  # settings ("weights.alignment", "reduction=sum") and metrics that it is a bug of


class Outcome(NamedTuple):
    """What became of a check: the first test that failed and its exception, or a reason why nothing can be said."""

    test: str | None = None
    exception: str = ""
    problem: str = ""


# ---- the text -------------------------------------------------------------------------------------------------------


@cache
def right(file: str) -> tuple[str, list[str]]:
    """(the text of a file below cmir_ref, what its top-level statements say)."""
    text = (ROOT / "cmir_ref" / file).read_text(encoding="utf-8")
    return text, [ast.dump(statement) for statement in ast.parse(text).body]


def changed(bug: Bug) -> tuple[str, list[ast.stmt]]:
    """(the file's text with the bug, the top-level statements that differ).

    Raises `ValueError` where the old text does not occur exactly once, or where the new one means the same.
    """
    text, says = right(bug.file)
    if (found := text.count(bug.old)) != 1:
        raise ValueError(f"{bug.file}: the old text occurs {found} times, not once: {bug.old!r}")
    wrong = text.replace(bug.old, bug.new)
    pairs = zip(says, ast.parse(wrong).body, strict=True)
    statements = [new for old, new in pairs if old != ast.dump(new)]
    if not statements:
        raise ValueError(f"{bug.file}: the new text means the same as the old: {bug.new!r}")
    return wrong, statements


def names(statement: ast.stmt) -> Iterator[str]:
    """What a top-level statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        yield from (node.id for target in statement.targets for node in ast.walk(target) if isinstance(node, ast.Name))
    else:
        raise ValueError(f"line {statement.lineno}: only functions, classes and constants can be changed in memory")


def module_name(file: str) -> str:
    return "cmir_ref." + file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def touched(bug: Bug) -> set[str]:
    """The dotted names, below cmir_ref, of what a bug changes."""
    module = module_name(bug.file).removeprefix("cmir_ref.")
    return {f"{module}.{name}" for statement in changed(bug)[1] for name in names(statement)}


# ---- in memory ------------------------------------------------------------------------------------------------------


def plant(bug: Bug) -> None:
    """Changes the running program as if the file had the new text. There is no way back: do it in a fork."""
    module = importlib.import_module(module_name(bug.file))
    _, statements = changed(bug)
    scratch = dict(vars(module))
    exec(compile(ast.Module(statements, []), module.__file__, "exec"), scratch)
    for statement in statements:
        for name in names(statement):
            exchange(name, vars(module)[name], scratch[name])


def exchange(name: str, right: Any, wrong: Any) -> None:
    """Gives a function or a class's methods the wrong code; a constant is replaced wherever it was imported to."""
    right, wrong = inspect.unwrap(right), inspect.unwrap(wrong)
    if isinstance(right, FunctionType):
        for part in ("__code__", "__defaults__", "__kwdefaults__"):
            setattr(right, part, getattr(wrong, part))
    elif isinstance(right, type):
        for method in vars(right).keys() & vars(wrong).keys():
            one, other = (function_of(vars(c)[method]) for c in (right, wrong))
            if isinstance(one, FunctionType):
                exchange(method, one, other)
    else:
        for module in list(sys.modules.values()):
            if isinstance(module, ModuleType) and vars(module).get(name) is right:
                setattr(module, name, wrong)


def function_of(member: Any) -> Any:
    """The function behind a method, a class method, a property or a cached property; anything else as it is."""
    for behind in ("__func__", "fget", "func"):
        if isinstance(found := getattr(member, behind, None), FunctionType):
            return found
    return member


# ---- the process that runs checks -----------------------------------------------------------------------------------


def file_of(killer: str) -> str:
    """The test file, below the root, that holds a killer."""
    method = killer.partition(":")[0]
    return "tests/gradcheck/test_battery.py" if method in BATTERY else "tests/" + killer.partition("::")[0]


def by_killer(items: list[pytest.Function]) -> dict[str, list[pytest.Function]]:
    """The collected tests by the killers that name them: one, or a function's with all their parameters."""
    tests = defaultdict(list)
    for item in items:
        killer = item.nodeid.removeprefix("tests/")
        for name in {killer, killer.partition("[")[0]}:
            tests[name].append(item)
        for method in (method for method, name in BATTERY.items() if item.originalname == name):
            tests[f"{method}:{item.callspec.params['check'].name}"].append(item)
    return tests


def in_fork(work: Callable[[], Outcome], limit: float) -> Outcome:
    """The answer of `work` in a fork of this process, if it comes within `limit` seconds."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    process = fork.Process(target=lambda: there.send(work()))
    process.start()
    there.close()
    try:
        return here.recv() if here.poll(limit) else Outcome(problem=f"no end after {limit} s")
    except EOFError:
        return Outcome(problem="its process died")
    finally:
        process.kill()
        process.join()


class Server:
    """A pytest plugin that answers questions about the collected tests instead of running them all."""

    def __init__(self, questions, answers):
        self.questions, self.answers, self.failed = questions, answers, None

    def pytest_collection(self):
        from hypothesis import Phase, settings

        quick = settings(settings.default, phases=(Phase.explicit, Phase.generate), report_multiple_bugs=False)
        settings.register_profile("planted", quick)  # a bug found is enough, nobody reads its smallest example
        settings.load_profile("planted")
        sys.modules["libcst"] = None  # where it is there, hypothesis loads it in each fork, for a patch nobody reads

    def pytest_exception_interact(self, node, call):
        self.failed = self.failed or Outcome(node.nodeid, call.excinfo.typename)

    def pytest_runtestloop(self, session):
        tests = by_killer(session.items)
        for file in (ROOT / "cmir_ref").rglob("*.py"):
            right(str(file.relative_to(ROOT / "cmir_ref")))  # read once, not in each fork
        gc.freeze()  # a collection in a fork would write to, and so copy, all that was collected here
        for line in self.questions:
            killers, bug = json.loads(line)
            answer = in_fork(partial(self.run, tests, killers, bug and Bug(*bug)), LIMIT * len(killers))
            self.answers.write(json.dumps(answer) + "\n")
            self.answers.flush()
        return True

    def run(self, tests: dict[str, list[pytest.Function]], killers: list[str], bug: Bug | None) -> Outcome:
        if unknown := [killer for killer in killers if killer not in tests]:
            return Outcome(problem=f"{unknown[0]}: no such test")
        try:
            if bug:
                plant(bug)
        except ValueError as error:
            return Outcome(problem=str(error))
        items = list(dict.fromkeys(item for killer in killers for item in tests[killer]))
        for item, following in zip(items, [*items[1:], None], strict=True):  # fixtures that both need are made once
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return self.failed
        return Outcome()


class Checks:
    """Runs checks, with and without bugs; a context manager."""

    def __init__(self, files: set[str]):
        self.files = files

    def __enter__(self) -> "Checks":
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HYPOTHESIS_PROFILE": "ci"}
        environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, __file__, *sorted(self.files)],
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_) -> None:
        self.process.stdin.close()
        self.process.wait(LIMIT)
        self.process.stdout.close()
        self.log.close()

    def ask(self, killers: list[str], bug: Bug | None) -> Outcome:
        """What becomes of the tests of `killers`, one after the other, with `bug` planted, or with none."""
        with suppress(BrokenPipeError):  # it ended: the answer is empty and the log says why
            print(json.dumps([killers, bug]), file=self.process.stdin, flush=True)
        if answer := self.process.stdout.readline():
            return Outcome(*json.loads(answer))
        self.log.seek(0)
        raise RuntimeError("the checks cannot be collected:\n" + self.log.read()[-2000:])

    def verdict(self, bug: Bug) -> tuple[str, str]:
        """(the test that killed the bug or "", why not or "")."""
        found = self.ask([bug.killer], bug)
        if found.problem or not found.test:
            return "", found.problem or "it survives its check"
        if found.exception in BROKEN:
            return "", f"it is no bug, the code does not run: {found.exception}"
        return found.test, ""

    def without_a_bug(self, killers: list[str]) -> str:
        """Why `killers` prove nothing: the first that fails without any bug; "" where all pass."""
        found = self.ask(killers, None)
        return found.problem or (f"{found.test} fails without a bug: {found.exception}" if found.test else "")


if __name__ == "__main__":
    server = Server(os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w"))  # pytest captures 0 and 1 for the tests
    os.dup2(2, 1)
    plain = ["--assert=plain", "--tb=native"]  # nobody reads why a check failed; on CI pytest compares whole arrays
    sys.exit(pytest.main(["-q", *plain, "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[server]))
