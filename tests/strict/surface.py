"""What the installed CuPy has: names, parameters, dtypes. No GPU is needed to ask.

pip install 'cupy-cuda13x>=14,<15' && python tests/strict/surface.py    writes cupy_surface.json for the stand-in.
"""

import argparse
import importlib
import inspect
import json
import re
from pathlib import Path

FILE = Path(__file__).with_name("cupy_surface.json")
NAMESPACES = ("", "linalg", "lib.stride_tricks")


def read() -> dict:
    """The committed surface."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def parameters(function) -> str:
    """The parameters of a function, "a, axis=, *, out=": those with a default end in "="; "?" where it does not say."""
    try:
        found = inspect.signature(function).parameters.values()
    except ValueError:
        return _documented(function.__doc__ or "")
    texts = []
    for p in found:
        if p.kind is p.KEYWORD_ONLY and not any(text.startswith("*") for text in texts):
            texts.append("*")
        star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        texts.append(star + p.name + ("" if p.default is p.empty else "="))
    return ", ".join(text for text in texts if text != "self")


def _documented(text: str) -> str:
    """The same from the signature that Cython writes into a docstring: "_ndarray_base.dot(self, _ndarray_base b)"."""
    match = re.match(r"[\w.]*\((.*?)\)(?: ->.*)?$", text.partition("\n")[0])
    if not match:
        return "?"
    texts = []
    for part in match[1].split(","):
        name, equals, _ = part.strip().partition("=")
        texts.append(name.split()[-1] + equals if name.strip() not in ("", "*") else name.strip())
    return ", ".join(text for text in texts if text not in ("self", ""))


def surface() -> dict:
    """The surface of the installed CuPy."""
    import cupy

    functions, ufuncs, constants = {}, {}, []
    for space in NAMESPACES:
        module = importlib.import_module(f"cupy.{space}".rstrip("."))
        for name in sorted(set(dir(module))):
            value, full = getattr(module, name), f"{space}.{name}".lstrip(".")
            if name.startswith("_") or inspect.ismodule(value):
                continue
            if isinstance(value, cupy.ufunc):
                at = " at" if getattr(value, "_scatter_op", None) else ""
                ufuncs[full] = f"{value.nin}{at} {' '.join(value.types)}"
            elif inspect.isclass(value) or not callable(value):
                constants.append(full)
            else:
                functions[full] = parameters(value)
    methods, attributes = {}, []
    for name in sorted(dir(cupy.ndarray)):
        value = getattr(cupy.ndarray, name)
        if name.startswith("_") and not (name.startswith("__") and name.endswith("__")):
            continue
        if name.startswith("__") or not callable(value):
            attributes.append(name)
        else:
            methods[name] = parameters(value)
    return {
        "cupy": cupy.__version__,
        "functions": functions,
        "ufuncs": ufuncs,
        "constants": constants,
        "methods": methods,
        "attributes": attributes,
    }


def main() -> None:
    """Writes the file, a line an entry, so that a new version of CuPy reads well as a difference."""
    lines = []
    for part, value in surface().items():
        if isinstance(value, dict):
            rows = ",\n".join(f"{json.dumps(key)}: {json.dumps(text)}" for key, text in value.items())
            lines.append(f"{json.dumps(part)}: {{\n{rows}\n}}")
        else:
            lines.append(f"{json.dumps(part)}: {json.dumps(value)}")
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    main()
