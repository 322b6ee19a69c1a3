"""The rules of the house, read from the source (docs/design.md)."""

import ast
from pathlib import Path

import pytest

import cmir_ref

ROOT = Path(cmir_ref.__file__).parent
SOURCES = {path.relative_to(ROOT): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))}

LAYERS = [  # imports go down only; within a line anything goes
    {"", "__main__", "cli"},
    {"demo", "replicate", "bench", "doctor", "estimators", "app"},
    {"places"},
    {"search"},
    {"runs"},
    {"run_files"},
    {"reports", "checks", "ranking"},
    {"systems"},
    {"attention"},
    {"cmirnet", "amfmn", "hashing"},
    {"training", "retrieval", "data"},
    {"nets"},
    {"ops"},
    {"backend", "kernels"},
    {"kernel_texts"},
]
ASIDE = {
    "params": {"backend", "kernels", "files"},
    "gradcheck": {"backend"},
    "text": set(),
    "config": {"systems", "text"},  # the first validates a preset: asked for by name, when one is loaded
    "contract": set(),
    "files": set(),
    "locks": set(),
    "streams": set(),
    "records": set(),
    "equations": {"streams"},
    "settings_text": {"config", "systems", "streams"},
    "errors": set(),
    "packages": set(),
    "parallel": {"progress"},
    "progress": set(),
}


def part(path):
    """The part of the package that a file belongs to: "ops" for ops/conv.py, "" for the package itself."""
    return path.parts[0].removesuffix(".py").replace("__init__", "")


PARTS = {part(path) for path in SOURCES}


def imports(path, tree):
    """Dotted names of what a file imports, those of the package relative to it: ".ops.conv", "numpy.linalg"."""
    package = list(path.parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*([""] if node.level else []), *inside, *([node.module] if node.module else [])])
            names = [f"{base or '.'}.{alias.name}".replace("..", ".") for alias in node.names]
        else:
            continue
        yield from (name.removeprefix("cmir_ref") for name in names)


def below(one):
    """The parts that `one` may import."""
    if one in ASIDE:
        return ASIDE[one] | {one, "errors"}
    depth = next(i for i, layer in enumerate(LAYERS) if one in layer)
    aside = {"parallel"} if one in ("ops", "backend", "kernels") else ASIDE.keys()
    return set().union(*LAYERS[depth:], aside, {"errors"}) - ({"backend"} if one == "errors" else set())


def calls(tree):
    """Names of the functions that are called: `norm` for xp.linalg.norm(…), `abs` for abs(…)."""
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in functions}


def within(*folders):
    return {path: tree for path, tree in SOURCES.items() if path.parts[0] in folders}


def test_the_reading_of_imports():
    tree = ast.parse("import numpy.linalg\nfrom . import a\nfrom .b import c\nfrom .. import d\nfrom ..e.f import g")
    tree.body += ast.parse("from cmir_ref.h import i\nfrom j import k").body
    found = list(imports(Path("ops/fused/x.py"), tree))
    assert found == ["numpy.linalg", ".ops.fused.a", ".ops.fused.b.c", ".ops.d", ".ops.e.f.g", ".h.i", "j.k"]
    assert list(imports(Path("x.py"), ast.parse("from . import ops\nfrom .a import b"))) == [".ops", ".a.b"]


def test_every_part_has_its_place():
    assert set().union(*LAYERS, ASIDE) >= PARTS, "say in LAYERS where the new part stands"


def test_imports_go_down_only():
    upward = [
        f"{path} imports {name}"
        for path, tree in SOURCES.items()
        for name in imports(path, tree)
        if name.startswith(".") and name.split(".")[1] in PARTS and name.split(".")[1] not in below(part(path))
    ]
    assert upward == []


def outward(path, tree):
    """The parts of the package, other than a file's own, that the file imports from."""
    parts = {name.split(".")[1] for name in imports(path, tree) if name.startswith(".")}
    return parts & PARTS - {part(path)}


def test_the_calculus_imports_nothing_but_calculus():
    """A loss or a network knows no data, no training and no retrieval; an equation nothing but operations."""
    for path, tree in CALCULUS.items():
        if path.parts[0] != "ops":  # which `test_imports_go_down_only` covers
            allowed = {"ops", "nets", "backend", "params", "errors"}
            allowed |= {"cmirnet"} if path.parts[0] == "attention" else set()  # whose losses it puts its gate before
            if path.name.startswith("eq"):
                allowed = {"ops", "backend"}
                inside = {n.split(".")[2] for n in imports(path, tree) if n.startswith(f".{path.parts[0]}.")}
                assert all(name.startswith("eq") for name in inside), path
            assert outward(path, tree) <= allowed, path


def test_cupy_is_imported_in_two_files():
    users = {str(path) for path, tree in SOURCES.items() if any(n.split(".")[0] == "cupy" for n in imports(path, tree))}
    assert "backend.py" in users and users <= {"backend.py", "kernels.py"}


def holds_a_pair(tree):
    """Whether a file has a function with its gradient beside it: `f` and `f_backward`."""
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return any(f"{name}_backward" in names for name in names)


CALCULUS = {path: tree for path, tree in SOURCES.items() if path.parts[0] == "ops" or holds_a_pair(tree)}


def test_the_calculus_is_where_the_papers_are():
    files = {path.as_posix() for path in CALCULUS}
    equations = {path.as_posix() for path in SOURCES if path.parts[0] == "cmirnet" and path.name.startswith("eq")}
    assert len(equations) == 7 and equations < files
    assert {"cmirnet/objective.py", "nets/conv_block.py", "hashing/dcmh.py", "ops/conv.py"} < files


def test_the_calculus_names_no_array_library():
    for path, tree in CALCULUS.items():
        if "fused" not in path.parts:
            found = {name.split(".")[0] for name in imports(path, tree)} & {"numpy", "scipy", "cupy"}
            assert not found, f"{path} imports {found}"


def test_the_calculus_is_safe_for_complex_steps():
    forbidden = {"abs", "absolute", "fabs", "norm", "vdot", "var", "std"}
    found = {str(path): calls(tree) & forbidden for path, tree in CALCULUS.items()}
    assert {path: names for path, names in found.items() if names} == {}
    assert calls(ast.parse("np.linalg.norm(x); abs(x); x.var()")) == {"norm", "abs", "var"}


def test_public_functions_are_documented():
    trees = within("ops", "nets", "cmirnet", "attention", "amfmn", "hashing", "gradcheck", "retrieval", "training")
    assert len(trees) > 30
    silent = [
        f"{path}: {node.name}"
        for path, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not node.name.endswith(("Cache", "Gradient"))  # named fields speak for themselves
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_every_file_says_what_it_is():
    assert [str(p) for p, tree in SOURCES.items() if tree.body and not ast.get_docstring(tree)] == []


def test_nothing_is_unpickled():
    serialisers = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    for path, tree in SOURCES.items():
        found = {name.split(".")[0] for name in imports(path, tree)} & serialisers
        if path.as_posix() == "data/weights.py":  # reads PyTorch's files by a reader that finds three names alone
            found -= {"pickle"}
            used = [
                n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "pickle"
            ]
            (reader,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.bases == used)
            assert {"find_class", "persistent_load"} == {n.name for n in reader.body if isinstance(n, ast.FunctionDef)}
            assert [n.attr for n in used] == ["Unpickler"]
        assert not found, f"{path} imports {found}"
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant) and node.value.value is False, path


@pytest.mark.parametrize("heavy", ["librosa", "h5py", "matplotlib", "cupy"])
def test_heavy_imports_happen_where_they_are_used(heavy):
    at_top = [
        str(path)
        for path, tree in SOURCES.items()
        for name in imports(path, ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], []))
        if name.split(".")[0] == heavy
    ]
    assert at_top == []


def public_definitions():
    """(name, file) of every public function and class at the top of a file."""
    for path, tree in SOURCES.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, path


def test_no_public_name_stands_twice():
    """`cases` of the benchmarks and `main` of programs are what each of them is called."""
    places = {}
    for name, path in public_definitions():
        places.setdefault(name, []).append(str(path))
    assert {n: p for n, p in places.items() if len(p) > 1 and n not in ("cases", "main")} == {}


def test_no_two_test_files_share_a_name():
    """One process that collects both would stop: a module of that name is there already."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_imports_are_relative_and_of_public_names():
    absolute, private = [], []
    for path, tree in SOURCES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                if not node.level and (node.module or "").split(".")[0] == "cmir_ref":
                    absolute.append(f"{path}: {node.module}")
                if node.level:
                    private += [f"{path}: {alias.name}" for alias in node.names if alias.name.startswith("_")]
    assert absolute == private == []


SCENARIOS_AND_SYSTEMS = {"pan-mul", "image-speech", "photo-sketch", "image-text", "cmirnet", "attention", "amfmn"}
DECIDES = {"systems.py", "data/scenarios.py"}  # where such a name may decide; and the folder of a paper
PAPERS = {"cmirnet", "attention", "amfmn"}


def conditions(tree):
    """Every expression that decides: of `if`, `while`, a conditional expression, a comprehension, a `match`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            yield node.test
        elif isinstance(node, ast.comprehension):
            yield from node.ifs
        elif isinstance(node, ast.match_case):
            yield node.pattern


def named_in_conditions(tree):
    """The scenarios and systems that conditions name."""
    constants = [n.value for test in conditions(tree) for n in ast.walk(test) if isinstance(n, ast.Constant)]
    return {value for value in constants if isinstance(value, str)} & SCENARIOS_AND_SYSTEMS


def test_no_scenario_and_no_system_decides_outside_its_place():
    assert named_in_conditions(ast.parse('y = 1 if x == "pan-mul" else 0\n[z for z in s if z in ("amfmn",)]')) == {
        "pan-mul",
        "amfmn",
    }
    wrong = {
        str(path): names
        for path, tree in SOURCES.items()
        if path.as_posix() not in DECIDES and path.parts[0] not in PAPERS and (names := named_in_conditions(tree))
    }
    assert wrong == {}
