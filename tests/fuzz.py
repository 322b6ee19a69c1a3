"""Damaged files of every kind that a reader opens: `python tests/fuzz.py --minutes 60 [--seed N] [--keep DIR]`.

Small true files are flipped, cut, doubled and swapped in a few places, and read in processes of their own. A reader may
read what is left, or refuse it by an `InputError` of one line that names the file. All else is a fault: another
exception, a crash, more than 10 s, more than 1 GB. Exit status 1 where there is one; the files are in DIR.

Input number k is a function of (seed, k) alone: `--only k` reads it again.
"""

import argparse
import json
import queue
import re
import resource
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

SECONDS, MEGABYTES = 10, 1000  # a reader's limits for one file
ADDRESSES = 6 * 2**30  # of a child: what asks for more gets a MemoryError, not the whole machine
NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1]


class Outcome(NamedTuple):
    """What became of an input."""

    number: int
    name: str  # of the true file that it was made of
    verdict: str  # "read", "refused", or what is wrong


def write_true_files(folder: Path) -> None:
    """A small file of every kind and coding, named `<kind>-<number>.<ending>` or as its reader asks for."""
    import h5py
    import scipy.io
    import soundfile
    from PIL import Image

    from cmir_ref import params

    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 255, (24, 20, 3), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 4095, (24, 20)).astype(np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    for k, (image, ending, options) in enumerate([
        (rgb, "tif", {}), (rgb, "tif", {"compression": "tiff_lzw"}), (rgb, "tif", {"compression": "jpeg"}),
        (deep, "tif", {}), (deep, "tif", {"compression": "tiff_adobe_deflate"}), (rgb, "tif", {"tiffinfo": {274: 6}}),
        (rgb.convert("CMYK"), "tif", {}), (Image.fromarray(rng.random((9, 9)).astype("f4")), "tif", {}),
        (rgb, "tif", {"save_all": True, "append_images": [rgb.rotate(90)]}), (rgb, "png", {}), (deep, "png", {}),
        (rgb.convert("RGBA"), "png", {}), (rgb.convert("P"), "png", {"transparency": 3}), (rgb.convert("1"), "png", {}),
        (rgb, "jpg", {"exif": exif}), (rgb, "jpg", {"progressive": True}), (rgb.convert("L"), "jpg", {}),
        (rgb, "webp", {}), (rgb, "bmp", {}), (rgb, "gif", {"save_all": True, "append_images": [rgb]}),
    ]):  # fmt: skip
        image.save(folder / f"image-{k}.{ending}", **options)
    word = 0.4 * np.sin(np.arange(4000) / 4) * np.hanning(4000)
    for k, (ending, format, subtype) in enumerate([
        ("wav", "WAV", "PCM_16"), ("wav", "WAV", "FLOAT"), ("wav", "WAV", "IMA_ADPCM"), ("flac", "FLAC", "PCM_16"),
        ("ogg", "OGG", "VORBIS"), ("opus", "OGG", "OPUS"), ("mp3", "MP3", "MPEG_LAYER_III"), ("aiff", "AIFF", "PCM_16"),
        ("caf", "CAF", "ALAC_16"), ("w64", "W64", "PCM_16"), ("au", "AU", "ULAW"),
    ]):  # fmt: skip
        soundfile.write(
            folder / f"sound-{k}.{ending}", np.stack([word, word], 1), 16000, format=format, subtype=subtype
        )
    arrays = {"features": rng.normal(size=(9, 4)), "labels": np.arange(9)[None]}
    for k, options in enumerate(({"format": "4"}, {}, {"do_compression": True})):
        scipy.io.savemat(folder / f"mat-{k}.mat", arrays, **options)
    for k, options in enumerate(({}, {"compression": "gzip", "chunks": True})):
        with h5py.File(folder / f"mat-{k + 3}.mat", "w", userblock_size=512) as file:
            field = file.create_dataset("features", data=arrays["features"], **options)
            field.attrs["MATLAB_class"] = np.bytes_("double")
        with h5py.File(folder / f"dsrsid-{k}.mat", "w") as file:
            file.create_dataset("PAN_IMAGES", data=rng.integers(1, 99, (9, 16, 16)).astype("u2"), **options)
            file.create_dataset("MUL_IMAGES", data=rng.integers(1, 99, (9, 4, 5, 5)).astype("u2"), **options)
            file.create_dataset("LAND_COVER_TYPES", data=np.arange(9)[None] % 8 + 1.0, **options)
    metadata = {"stage": "", "state": "{}", "lines": "2", "data": "ab-cd", "seconds": "1.5"}
    params.save_tensors(folder / "checkpoint-0.safetensors", {"w": np.ones((3, 2), "f4"), "n": np.arange(4)}, metadata)
    known = {"labels": np.arange(4), "ids": np.array(list("wxyz")), "groups": np.array(list("abcd")), "v": np.eye(4)}
    known |= {"empty": np.zeros((0, 3)), "name": np.array("pan"), "kind": np.array("image")}
    known |= {part: np.arange(2) for part in ("train", "validation", "test")}
    stored = {f"{name}_{m}": array for m in "ab" for name, array in known.items()}
    np.savez(folder / "embeddings-0.npz", note="", label_names=np.array(list("abcd")), **stored)
    np.savez_compressed(folder / "embeddings-1.npz", note="", label_names=np.array(list("abcd")), **stored)
    preset = Path(__file__).parents[1] / "cmir_ref" / "presets" / "image-speech.toml"
    (folder / "settings-0.toml").write_bytes(preset.read_bytes())
    (folder / "settings-1.toml").write_bytes(b"\xef\xbb\xbf" + preset.read_bytes())
    lines = [{"stage": "stage2", "epoch": k, "loss": 0.5, "parts": {"alignment": 0.1}} for k in range(3)]
    (folder / "history-0.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def read(kind: str, path: Path) -> None:
    """Reads a file as the package does."""
    from cmir_ref import load_config, run_files
    from cmir_ref.data import load_dsrsid, log_mel_patch, read_image
    from cmir_ref.data.images import read_images
    from cmir_ref.data.mat import read_mat
    from cmir_ref.training.folder import read_checkpoint, read_history

    if kind == "image":
        read_images([path], 16)
        read_image(path, bands=1)
    elif kind == "sound":
        log_mel_patch(path)
    elif kind == "mat":
        read_mat(path)
    elif kind == "dsrsid":
        for modality in load_dsrsid(path.parent).modalities.values():
            _ = modality.x[np.arange(len(modality.x))]
    elif kind == "checkpoint":
        read_checkpoint(path.parent)
    elif kind == "embeddings":
        run_files.read_embeddings(path)
    elif kind == "settings":
        load_config(path)
    else:
        read_history(path.parent)


WARM = ("sound-0.wav", "image-0.tif", "mat-0.mat", "mat-3.mat")
FIXED_NAMES = {"dsrsid": "DSRSID.mat", "checkpoint": "checkpoint.safetensors", "history": "metrics.jsonl"}


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """`content` with one to eight mistakes in it."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 8])):
        if len(data) < 8:
            break
        # half of the mistakes are in the first bytes, where most kinds say what follows
        at = int(rng.integers(0, len(data) if rng.random() < 0.5 else min(len(data), 512)))
        length = int(min(len(data) - at, 2 ** rng.integers(0, 9)))
        other = int(rng.integers(0, len(data) - length + 1))
        match rng.integers(0, 9):
            case 0:
                data[at] ^= 1 << rng.integers(0, 8)
            case 1:
                data[at] = rng.integers(0, 256)
            case 2:
                del data[at if rng.random() < 0.3 else max(at, len(data) - length) :]
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                data[at : at + length], data[other : other + length] = (
                    data[other : other + length],
                    data[at : at + length],
                )
            case 6:
                size = int(rng.choice([1, 2, 4, 8]))
                number = NUMBERS[rng.integers(0, len(NUMBERS))] % 2 ** (8 * size)
                data[at : at + size] = number.to_bytes(size, "little" if rng.random() < 0.5 else "big")
            case 7:
                data[at : at + length] = bytes(length)
            case _:
                data[at : at + length] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
    return bytes(data)


def peak_megabytes() -> float:
    """The most memory that this program has held; `getrusage` would count what its parent held before it began."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def child() -> None:
    """Reads the files whose kinds and paths come in line by line, and answers each with a line of what became of it."""
    from cmir_ref.errors import InputError

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = sys.stdout
    for line in sys.stdin:
        kind, path = json.loads(line)
        try:
            read(kind, Path(path))
            verdict = "read"
        except InputError as error:
            said = str(error)
            right = "\n" not in said and Path(path).name in said
            verdict = "refused" if right else f"not a line that names it: {said!r}"
        except BaseException as error:
            verdict = f"{type(error).__name__}: {error}"
        peak = peak_megabytes()
        answers.write(json.dumps([verdict if peak < MEGABYTES else f"{peak:.0f} MB ({verdict})"]) + "\n")
        answers.flush()


class Reader:
    """A child process, started anew after a fault; it reads the whole files `warm` first."""

    def __init__(self, warm: list[Path]) -> None:
        self.process, self.warm = None, warm

    def verdict(self, kind: str, path: Path) -> str:
        """What became of one file."""
        if self.process is None:
            command = [sys.executable, "-W", "ignore", __file__, "--child"]
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            for file in self.warm:  # whole files, until all is imported and compiled
                if self.ask(file.name.partition("-")[0], file, 60 * SECONDS) != "read":
                    raise RuntimeError(f"{file}: a whole file is not read")
        return self.ask(kind, path, SECONDS)

    def ask(self, kind: str, path: Path, seconds: float) -> str:
        """The child's answer, or what keeps it from one."""
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps([kind, str(path)]) + "\n")
            self.process.stdin.flush()
        ready, *_ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if ready else ""
        if line:
            verdict = json.loads(line)[0]
            if verdict not in ("read", "refused"):
                self.end()
            return verdict
        verdict = f"crash, exit status {self.process.wait()}" if ready else f"more than {seconds} s"
        self.end()
        return verdict

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def fuzz(numbers, *, seed: int, keep: Path | None, jobs: int = 2) -> list[Outcome]:
    """The outcomes of these inputs, shared among `jobs` children; files of faults are kept in the folder `keep`."""
    outcomes, waiting, lock = [], queue.SimpleQueue(), threading.Lock()
    numbers = iter(numbers)

    def work(folder: Path) -> None:
        reader = Reader([path for path in files if path.name in WARM])
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                break
            rng = np.random.default_rng([seed, number])
            true = files[number % len(files)]
            kind = true.name.partition("-")[0]
            path = folder / FIXED_NAMES.get(kind, true.name)
            content = damaged(true.read_bytes(), rng)
            path.write_bytes(content)
            outcome = Outcome(number, true.name, reader.verdict(kind, path))
            path.unlink()
            waiting.put(outcome)
            if keep and outcome.verdict not in ("read", "refused"):
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{number}-{true.name}").write_bytes(content)
        reader.end()

    with tempfile.TemporaryDirectory() as folder:
        true_files = Path(folder) / "true"
        true_files.mkdir()
        write_true_files(true_files)
        files = sorted(true_files.iterdir())
        threads = []
        for job in range(jobs):
            (Path(folder) / str(job)).mkdir()
            threads.append(threading.Thread(target=work, args=(Path(folder) / str(job),)))
            threads[-1].start()
        for thread in threads:
            thread.join()
    while not waiting.empty():
        outcomes.append(waiting.get())
    return sorted(outcomes)


def until(seconds: float):
    """0, 1, 2, … for so long."""
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        yield number
        number += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--only", type=int, default=None)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.child:
        child()
        return 0
    numbers = until(60 * wanted.minutes) if wanted.only is None else [wanted.only]
    outcomes = fuzz(numbers, seed=wanted.seed, keep=wanted.keep, jobs=wanted.jobs)
    counts = Counter((o.name, o.verdict if o.verdict in ("read", "refused") else "FAULT") for o in outcomes)
    for name in sorted({o.name for o in outcomes}):
        print(name, *(f"{verdict} {counts[name, verdict]}" for verdict in ("read", "refused", "FAULT")), sep="  ")
    faults = [o for o in outcomes if o.verdict not in ("read", "refused")]
    for fault in faults:
        print(f"input {fault.number} of seed {wanted.seed}, {fault.name}: {fault.verdict}")
    print(f"{len(outcomes)} inputs, {len(faults)} faults")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
