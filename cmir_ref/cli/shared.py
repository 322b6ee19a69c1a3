"""What commands share: the types of their options, and what is said where one ends early."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from ..progress import tell


def one_of(name: str, values: Iterable[str]) -> type[StrEnum]:
    """The type of an option or argument that is one of `values`: `--help` lists them, and others are refused."""
    return StrEnum(name, [(value, value) for value in dict.fromkeys(values)])


Device = one_of("Device", ["cpu", "cuda"])

MOST_RUNS = 1000  # that a command can be asked for, in all or at a time
DataOption = Annotated[  # a text: "" is not the current folder
    str | None, typer.Option("--data", metavar="DIR", help="Folder with the data sets (default: $CMIR_DATA).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable result on standard output.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random draw.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where arrays are computed.")]


def complain(reason: object, status: int) -> int:
    """Says on standard error, in one line, why the command ends; gives its exit status."""
    tell(f"error: {' '.join(str(reason).split())}")
    return status


@contextmanager
def on_interruption(advice: str) -> Iterator[None]:
    """Where the body is interrupted, what can be done next is said with it."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(advice) from error


def check_device(device: Device) -> None:
    """Refuses cuda where there is no GPU, before anything is read."""
    from ..backend import library

    library(device)
