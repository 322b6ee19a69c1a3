"""`python -m cmir_ref`."""

from .cli import main

main()
