"""Which versions are here."""

from importlib.metadata import PackageNotFoundError, version


def installed(name: str) -> str:
    """The version of the package `name`; "not installed" also of this one, where it runs from a plain checkout."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
