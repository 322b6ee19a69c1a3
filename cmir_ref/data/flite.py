"""UC Merced's 17 labels in the voices of another synthesiser, flite: to try a run on voices of a kind it never heard.

`python -m cmir_ref.data.flite OUT` makes 68 clips, `OUT/<label>/<voice>.wav`, and needs `flite` (Debian: apt-get
install flite). They are test data and are not shipped: `cmir-ref evaluate RUN --queries OUT`.
"""

import subprocess
from pathlib import Path

from ..errors import InputError
from ..files import whole_folder
from ..progress import on_terminal, track
from ..streams import run_module
from .ucmerced import LABEL_NAMES

FLITE_VOICES = ("kal", "awb", "rms", "slt")  # American at 8 kHz, Scottish, American male and female at 16 kHz


def speak_to_file(text: str, voice: str, path: Path) -> None:
    """`text` in a voice of flite as a WAV file; raises `InputError` where flite or the voice is not there."""
    try:
        done = subprocess.run(["flite", "-voice", voice, "-t", text, "-o", path], capture_output=True, text=True)
    except FileNotFoundError:
        raise InputError("flite: not installed; Debian has it as the package flite") from None
    listed = subprocess.run(["flite", "-lv"], capture_output=True, text=True).stdout.split()
    if voice not in listed:  # flite speaks in its first voice instead, and says nothing
        raise InputError(f"flite has no voice {voice!r}; it has {', '.join(listed[2:])}")
    if done.returncode or not path.is_file():
        raise InputError(f"flite cannot speak {text!r} as {voice}: {done.stderr.strip()}")


def write_flite(folder: str | Path, *, progress: bool = False) -> None:
    """Every label in every voice as `folder/<label>/<voice>.wav`, as flite writes it.

    Raises `InputError` for a folder that exists and without flite.
    """
    with whole_folder(folder) as out:
        for label in track(LABEL_NAMES, len(LABEL_NAMES), "speaking", progress):
            (out / label).mkdir()
            for voice in FLITE_VOICES:
                speak_to_file(label.replace("-", " "), voice, out / label / f"{voice}.wav")


if __name__ == "__main__":
    run_module("python -m cmir_ref.data.flite OUT", lambda out: write_flite(out, progress=on_terminal()))
