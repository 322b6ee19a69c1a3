"""The surface that the stand-in knows, against the CuPy that is installed, if one is; no GPU is needed."""

import pytest
from strict import surface
from strict.standin import Absent, xp

READ = surface.read()


def test_the_committed_surface_is_whole():
    assert len(READ["functions"]) > 300 and len(READ["ufuncs"]) > 100 and len(READ["methods"]) > 50
    assert "?" not in {*READ["functions"].values(), *READ["methods"].values()}
    assert surface.FILE.stat().st_size < 80_000


def test_every_name_of_the_surface_is_found_or_is_not_numpys():
    missing = []
    for name in READ["functions"] | READ["ufuncs"]:
        space, _, last = name.rpartition(".")
        where = xp
        for part in filter(None, space.split(".")):
            where = getattr(where, part)
        try:
            assert callable(getattr(where, last))
        except Absent:
            missing.append(name)
    assert "asnumpy" in missing and len(missing) < 60


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_the_committed_surface_is_that_of_the_installed_cupy():
    cupy = pytest.importorskip("cupy", exc_type=ImportError)
    found = surface.surface()
    if cupy.__version__ == READ["cupy"]:
        assert found == READ
    for part in ("functions", "ufuncs", "methods"):  # another version may have more
        assert {name: found[part].get(name) for name in READ[part]} == READ[part], f"{part} of CuPy {cupy.__version__}"
