"""SVG files that would end the process, fill its memory or read other files are refused before they are drawn."""

import gzip
from importlib.util import find_spec

import pytest

from cmir_ref.data.sketches import read_sketch
from cmir_ref.data.svg import read_svg
from cmir_ref.errors import InputError

pytestmark = pytest.mark.skipif(find_spec("resvg_py") is None, reason="needs the extra svg")
LINE = '<path d="M1 1 L8 8" stroke="black"/>'


def drawing(inside=LINE, sheet='viewBox="0 0 9 9"', before=""):
    links = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"{before}<svg {links} {sheet}>{inside}</svg>"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (drawing(sheet='viewBox="0 0 1 1000000"'), "100 times as long as wide"),
        (drawing(sheet='width="1px" height="9in" viewBox="0 0 9 9"'), "100 times as long as wide"),
        (drawing(sheet='width="1%" height="900" viewBox="0 0 9 9"'), "100 times as long as wide"),
        (drawing(sheet='viewBox="0 0 0 0"'), "100 times as long as wide"),
        (drawing(sheet=""), "how large its sheet is"),
        (drawing(sheet='viewBox="0 0 nan 9"'), "how large its sheet is"),
        (drawing(sheet='width="9" viewBox="a"'), "how large its sheet is"),
        (drawing("<g>" * 1000 + LINE + "</g>" * 1000), "64 elements in each other"),
        (drawing("<g/>" * 100_001), "100000 in all"),
        (drawing(before='<!DOCTYPE svg [<!ENTITY a "b">]>'), "declares entities"),
        (drawing(LINE + '<image width="9" height="9" xlink:href="/etc/logo.png"/>'), "holds <image>"),
        (drawing('<filter id="f"><feTurbulence numOctaves="1000"/></filter>' + LINE), "holds <filter>"),
        (drawing('<rect width="9" height="9" style="filter: blur(900px)"/>'), "holds <filter>"),
        (drawing("<script>1</script>" + LINE), "holds <script>"),
        (drawing(f'<style type="text/css">path {{ filter: blur(9px) }}</style>{LINE}'), "holds <filter>"),
        (drawing(f'<style>path {{ filter: none; fill: none }}</style><g filter="none ">{LINE}</g>'), None),
        (drawing('<rect width="9" height="9" style="filter:nonesuch(1)"/>'), "holds <filter>"),
        (drawing() + " ", None),
        (drawing("<g>" * 50 + LINE + "</g>" * 50), None),
        (drawing(sheet='width="90mm" height="60mm"'), None),
        (drawing(sheet='width="10rem" height="auto" viewBox="0 0 9 9"'), None),
        (drawing(sheet='width="" height="400Q" viewBox="0 0 9 9"'), None),
        (drawing(sheet='width="10rem" height="1px" viewBox="0 0 1 900"'), "100 times as long as wide"),
        (drawing(sheet='width="10rem" height="5rem"'), "how large its sheet is"),
        (drawing(sheet='width="900" height="2%" viewBox="0 0 900 10"'), "100 times as long as wide"),
        (drawing('<rect width="9" height="9" filter="blur(900px)"/>'), "holds <filter>"),
        (drawing('<s:image xmlns:s="http://www.w3.org/2000/svg" xlink:href="/etc/logo.png"/>'), "holds <image>"),
    ],
    ids=lambda value: (value or "is read")[:40].replace("/", "|") if isinstance(value, str | None) else None,
)
@pytest.mark.parametrize("packed", [False, True], ids=["svg", "svgz"])
def test_what_is_no_drawing_is_one_line(text, reason, packed, tmp_path):
    path = tmp_path / ("x.svgz" if packed else "x.svg")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    if reason is None:
        assert read_sketch(path, 32).max() == 255
        return
    with pytest.raises(InputError, match=reason) as refused:
        read_sketch(path, 32)
    assert str(refused.value).startswith(str(path)) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "inside", ['<path d="M0 0L9 9" stroke="var(--ink)"/>', "<style>.a { fill : var(--ink, red) }</style>"]
)
def test_what_is_coloured_by_variables_would_be_missing(inside, tmp_path):
    (tmp_path / "x.svg").write_text(drawing(inside + LINE))
    with pytest.raises(InputError, match=r"x\.svg: holds lines or areas whose colour is var\(…\)"):
        read_sketch(tmp_path / "x.svg", 32)
    (tmp_path / "x.svg").write_text(drawing("<style>text { font-size: var(--size) }</style>" + LINE))
    assert read_sketch(tmp_path / "x.svg", 32).max() == 255


def test_a_bomb_is_not_unpacked(tmp_path):
    (tmp_path / "bomb.svgz").write_bytes(gzip.compress(b" " * 2**28))
    with pytest.raises(InputError, match="more than 16 MiB"):
        read_svg(tmp_path / "bomb.svgz")
    (tmp_path / "half.svgz").write_bytes(gzip.compress(drawing().encode())[:-9])
    with pytest.raises(InputError, match="not a readable SVG file"):
        read_svg(tmp_path / "half.svgz")
    (tmp_path / "other.svg").write_text(drawing("<title>Ä</title>" + LINE), encoding="latin-1")
    with pytest.raises(InputError, match=r"not a readable|not in UTF-8"):
        read_svg(tmp_path / "other.svg")


def test_a_thin_sheet_is_drawn_whole(tmp_path):
    (tmp_path / "x.svg").write_text(drawing('<path d="M4 1 V89" stroke="black"/>', 'viewBox="0 0 9 90"'))
    ink = read_sketch(tmp_path / "x.svg", 32)[..., 0]
    assert (ink.max(axis=1) > 127).sum() >= 30 and (ink.max(axis=0) > 127).sum() <= 2


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ('<pattern id="p" width="1e5" height="1e5"><rect width="1" height="1"/></pattern>', "holds <pattern>"),
        ('<mask id="m"><rect width="9" height="9"/></mask>', "holds <mask>"),
        ('<marker id="m"><path d="M0 0L9 9"/></marker>', "holds <marker>"),
        ('<clipPath id="a"><rect clip-path="url(#b)" width="9" height="9"/></clipPath>', "holds clips within clips"),
        ('<g clip-path="url(#a)"/>' * 201, "more than 200 clipped or transparent groups"),
        ('<g style="fill:red; opacity: .5"/>' * 201, "more than 200 clipped or transparent groups"),
    ],
)
def test_what_a_renderer_takes_for_ever_over(tmp_path, inside, says):
    path = tmp_path / "x.svg"
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{inside}</svg>')
    with pytest.raises(InputError, match=says):
        read_svg(path)


def test_some_clips_and_transparency_are_drawn(tmp_path):
    inside = (
        '<clipPath id="a"><rect opacity="1" width="9" height="9"/></clipPath><g clip-path="url(#a)" opacity=".5"/>' * 3
    )
    path = tmp_path / "x.svg"
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{inside}<path fill-opacity="1"/></svg>')
    assert read_svg(path)
