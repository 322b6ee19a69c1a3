"""The lessons as pages that need no server and no network: text, code, pictures, and formulas as MathML.

A notebook is JSON: cells of Markdown, and cells of code with what they showed. Markdown is rendered by markdown-it,
formulas by latex2mathml, code by Pygments; pictures are written into the page.
"""

import html
import json
import os
import re
from collections.abc import Callable, Collection
from pathlib import Path

from ..errors import InputError
from ..files import write_whole

CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.DOTALL)
LINK = re.compile(r'(href|src)="([^"#:]*)((?:#[^"]*)?)"')
DRAWS = re.compile(r"\b(axes|figure|plt|show|pictures)\b")
HEADING = re.compile(r"<h([1-6])>(.*?)</h\1>")
STYLE = """
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 1.05rem/1.55 system-ui, sans-serif; color: #1b1b1b; }
pre { overflow-x: auto; padding: .6rem .8rem; border-radius: 4px; font-size: .88rem; line-height: 1.4; }
pre.said { background: none; border-left: 3px solid #bbb; }
.highlight pre { background: #f4f4f4; margin: .6rem 0; }
img { display: block; max-width: 100%; min-width: 80%; height: auto; margin: 1rem auto .3rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: .8rem 0; }
td, th { border-top: 1px solid #ddd; padding: .3rem .7rem; text-align: left; }
math[display=block] { overflow-x: auto; overflow-y: hidden; padding: .3rem 0; }
summary { cursor: pointer; color: #555; }
audio { display: block; margin: .5rem 0; }
@media (min-width: 60rem) { pre.said { white-space: pre-wrap; } }
@media (max-width: 40rem) {
  body { font-size: 1rem; }
  pre { font-size: .75rem; }
  .figure { overflow-x: auto; }
  .figure img { max-width: none; width: 36rem; }
  td:nth-child(n+3), th:nth-child(n+3) { min-width: 10rem; }
}
"""


def write_lesson_pages(folder: Path, out: Path) -> list[Path]:
    """Writes a page for every notebook of `folder`, and its README as index.html, into `out`; returns the pages.

    Raises `InputError` where a library of the extra `lessons` is missing.
    """
    render = renderer()
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for source in [*sorted(folder.glob("[0-9][0-9]_*.ipynb")), folder / "README.md"]:
        text = source.read_text(encoding="utf-8")
        if source.suffix == ".ipynb":
            cells = json.loads(text)["cells"]
            body = "\n".join(cell_as_html(cell, render) for cell in cells)
            title = "".join(cells[0]["source"]).splitlines()[0].lstrip("# ")
        else:
            body, title = render(text), "Lessons"
        page = out / ("index.html" if source.suffix == ".md" else f"{source.stem}.html")
        write_whole(page, whole_page(title, point_links(body, folder, out)))
        written.append(page)
    return written


def renderer() -> Callable[[str], str]:
    """Markdown with formulas -> HTML."""
    try:
        from latex2mathml.converter import convert
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise InputError(f"lessons: {error.name} is not installed; pip install 'cmir-ref[lessons]'") from error
    markdown = MarkdownIt("commonmark").enable("table")

    def render(text: str) -> str:
        formulas: list[str] = []

        def keep(found: re.Match) -> str:
            block = found[1] is not None
            formulas.append(convert((found[1] or found[2]).strip(), display="block" if block else "inline"))
            return f"\uf8ffM{len(formulas) - 1}\uf8ff"  # a letter of nobody's alphabet: Markdown leaves it alone

        parts = CODE.split(text)
        parts[::2] = [FORMULA.sub(keep, part) for part in parts[::2]]
        page = markdown.render("".join(parts))
        page = re.sub("\uf8ffM(\\d+)\uf8ff", lambda found: formulas[int(found[1])], page)
        return HEADING.sub(with_anchor, page)

    return render


def with_anchor(found: re.Match) -> str:
    """A heading with the anchor that notebooks give it."""
    level, inside = found.groups()
    words = html.unescape(re.sub(r"<[^>]+>", "", inside))
    return f'<h{level} id="{html.escape(words.replace(" ", "-"))}">{inside}</h{level}>'


def cell_as_html(cell: dict, render: Callable[[str], str]) -> str:
    """A cell and what it showed; code that is hidden in the notebook is folded."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return render(source)
    code = highlight(source)
    if cell["metadata"].get("jupyter", {}).get("source_hidden"):
        code = f"<details><summary>{name_of_fold(source, cell['metadata'].get('tags', ()))}</summary>{code}</details>"
    return "\n".join([code, *(output_as_html(output, render) for output in cell["outputs"])])


def name_of_fold(code: str, tags: Collection[str]) -> str:
    """What a reader finds in folded code."""
    for tag, name in (("solution", "a solution"), ("check", "the check")):
        if tag in tags:
            return name
    return "code that draws" if DRAWS.search(code) else "code"


def highlight(code: str) -> str:
    """Python in colours."""
    from pygments import highlight as colour
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return colour(code, PythonLexer(), HtmlFormatter())


def output_as_html(output: dict, render: Callable[[str], str]) -> str:
    """Printed text, a picture, a table or a sound."""
    if output["output_type"] == "stream":
        return f'<pre class="said">{html.escape("".join(output["text"]))}</pre>'
    data = output.get("data", {})
    if "image/png" in data:
        caption = html.escape(next(iter(output.get("metadata", {}).get("image/png", {}).get("alt", "").split("\n"))))
        picture = "".join(data["image/png"]).strip()
        return f'<div class="figure"><img alt="{caption}" src="data:image/png;base64,{picture}"></div>'
    if "text/html" in data:
        return "".join(data["text/html"])
    if "text/markdown" in data:
        return render("".join(data["text/markdown"]))
    return f'<pre class="said">{html.escape("".join(data.get("text/plain", "")))}</pre>'


def point_links(body: str, folder: Path, out: Path) -> str:
    """Links to notebooks lead to their pages, links to other files of the checkout to those files."""

    def change(found: re.Match) -> str:
        name, place, anchor = found.groups()
        if not place:
            return found[0]
        if (target := folder / place).suffix == ".ipynb":
            return f'{name}="{target.stem}.html{anchor}"'
        relative = Path(os.path.relpath(target.resolve(), out.resolve())).as_posix()
        return f'{name}="{relative}{anchor}"'

    return LINK.sub(change, body)


def whole_page(title: str, body: str) -> str:
    """A page with its style; it names nothing outside itself."""
    from pygments.formatters import HtmlFormatter

    style = STYLE + HtmlFormatter(style="friendly").get_style_defs(".highlight")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )
