"""The one exception that bad input raises."""


class InputError(ValueError):
    """Bad input: one line that names the file or setting, what is wrong and what would be right.

    The command line prints it and exits with status 2; nothing has been written by then.
    """


class NotFinite(InputError):
    """Numbers that must be finite are not: bad input, but from a training the sign that it has diverged."""
