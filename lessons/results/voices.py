"""How often the sound network names a word right: in bundled voices that were held out, and in clips of another engine.

`python lessons/results/voices.py CLIPS [--seeds 3] [--set key=value …]` trains stage 1 of the preset image-speech on
the bundled voices, without images, and prints a Markdown table. CLIPS is a folder `<label>/<voice>.wav`, as `python -m
cmir_ref.data.flite CLIPS` makes one.
"""

import argparse
import sys
from collections.abc import Callable

import numpy as np

from cmir_ref.cmirnet import system
from cmir_ref.config import SharedSettings, load_config
from cmir_ref.data import load_speech, samples_dir, split_data
from cmir_ref.data.ucmerced import LABEL_NAMES
from cmir_ref.errors import InputError
from cmir_ref.records import Dataset, Modality, Splits
from cmir_ref.runs import stages_of, train_stage
from cmir_ref.training.folder import Folder


def without_images(speech: Modality) -> Dataset:
    """Speech as b, and three vectors of each label as a, which nobody trains on: the split is that of a whole run."""
    count = len(LABEL_NAMES)
    labels = np.arange(count).repeat(9)
    x, ids = np.eye(count, dtype=np.float32)[labels], tuple(f"image{k}" for k in range(9 * count))
    images = Modality("image", "features", x, labels, ids, None, np.array(LABEL_NAMES)[labels])
    return Dataset({"a": images, "b": speech}, LABEL_NAMES, None, "no images")


def with_clips(data: Dataset, parts: Splits, clips: Modality) -> Dataset:
    """The same data set with the clips behind its recordings."""
    b = data.modalities["b"]
    x, labels = np.concatenate([b.x, clips.x]), np.concatenate([b.labels, clips.labels])
    both = b._replace(x=x, labels=labels, ids=b.ids + clips.ids, groups=np.concatenate([b.groups, clips.groups]))
    return data._replace(modalities=data.modalities | {"b": both})


def features_after_training(
    config: SharedSettings, data: Dataset, parts: Splits, whole: Dataset
) -> dict[str, np.ndarray]:
    """Features "z.b" and "logits.b" of the recordings of `whole`; stage 1 has learned the training part of `data`."""
    stage = next(s for s in stages_of(config, data) if s.name == "stage1.b")
    with Folder.open(None, config, False, "") as folder:
        train_stage(stage._replace(make=None), config, data, parts, {}, folder)
        params, buffers = (
            {k.removeprefix(f"stage1.b/{kind}/"): v for k, v in folder.tensors.items() if f"stage1.b/{kind}/" in k}
            for kind in ("params", "buffers")
        )
        return system.make_features("b", config, params, buffers, whole, folder.tensors, np)


def measure_names(changes: list[str], seed: int, data: Dataset, clips: Modality) -> dict[str, tuple[float, float]]:
    """Of the validation part, the test part and the clips the share that is named right: by the classifier, and by the
    nearest recording of the training part."""
    config = load_config("image-speech", ["speech=bundled", "dataset=features", *changes], seed=seed)
    parts = split_data(config, data)
    whole = with_clips(data, parts, clips)
    made = features_after_training(config, data, parts, whole)
    z, labels, train = made["z.b"], whole.modalities["b"].labels, parts.train["b"]
    rows = {"validation": parts.validation["b"], "test": parts.test["b"]}
    rows["clips"] = np.arange(len(data.modalities["b"].x), len(labels))
    figures = {}
    for name, index in rows.items():
        distance = ((z[index][:, None] - z[train]) ** 2).sum(axis=2)
        guesses = made["logits.b"][index].argmax(axis=1), labels[train][distance.argmin(axis=1)]
        figures[name] = tuple(float((guess == labels[index]).mean()) for guess in guesses)
    return figures


def main() -> None:
    """Prints the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="key=value")
    asked = parser.parse_args()
    data = without_images(load_speech(samples_dir() / "speech", LABEL_NAMES))
    clips = load_speech(asked.clips, LABEL_NAMES)
    figures = [measure_names(asked.set, seed, data, clips) for seed in range(asked.seeds)]
    print("| part | named by the network | by the nearest recording | each seed |\n|---|---|---|---|", flush=True)
    for part in figures[0]:
        by_seed = np.array([f[part] for f in figures])
        spread = [f" ± {s:.3f}" for s in by_seed.std(axis=0, ddof=1)] if len(by_seed) > 1 else ["", ""]
        cells = " | ".join(f"{m:.3f}{s}" for m, s in zip(by_seed.mean(axis=0), spread, strict=True))
        print(f"| {part} | {cells} | {', '.join(f'{a:.3f}' for a in by_seed[:, 0])} |")


def run_script(main: Callable[[], None]) -> None:
    """`main()`; bad input is one line and exit status 2."""
    try:
        main()
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    run_script(main)
