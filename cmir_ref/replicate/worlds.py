"""On what the experiments run, and how long: two scales, each with the same worlds.

A world is a data set in a scenario. `tiles` and `places` are where the paper's two data sets stand: simulated scenes at
the small scale, DSRSID and UC Merced at the full one. `few-tiles` is a small world for what is trained many times from
the pixels on; `real` are UC Merced's images with voices of which some are held out, `released` the same images with the
authors' speech features, all heard in training, `imagenet` those of `real` through ImageNet's network: all three need
the user's copy.
"""

from typing import NamedTuple

from ..data.dsrsid import origin_of

TILES, PLACES = ("tiles", "few-tiles"), ("places", "real", "released", "imagenet")
WORLD_SCENARIOS = dict.fromkeys(TILES, "pan-mul") | dict.fromkeys(PLACES, "image-speech")
REAL = ("real", "released", "imagenet")


class World(NamedTuple):
    """What is said about a world in a table, and the settings that make it, as `cmir-ref train --set` takes them."""

    words: str
    data: tuple[str, ...]  # which data, and their split
    default: tuple[str, ...] = ()  # how the default reading is trained there, where it departs from its preset
    authors: tuple[str, ...] = ()  # the same for the readings "paper" and "released"
    preset: str = ""  # of the default reading, where it has not the scenario's name


class Scale(NamedTuple):
    """The worlds of a scale, and a sentence about it."""

    name: str
    worlds: dict[str, World]
    words: str

    def preset(self, world: str, reading: str = "") -> tuple[str, tuple[str, ...]]:
        """(preset, settings that are changed) of a reading, "" the default, "paper" or "released", in a world."""
        w, scenario = self.worlds[world], WORLD_SCENARIOS[world]
        if not reading:
            return w.preset or scenario, (*w.data, *w.default)
        return f"{scenario}_{reading}", (*w.data, *w.authors)

    def at(self, root: str | None) -> "Scale":
        """This scale; where it asks for DSRSID and `root` has not the recorded one, its tiles are simulated."""
        origin = origin_of(root) if self.name == "full" else "recorded"
        data = ("dataset=dsrsid" if origin == "simulated" else "dataset=scenes", "scenes=80000", "test_share=0.0625")
        world = World("simulated PAN–MUL pairs in place of DSRSID's 80 000", data, _TILES)
        return self if origin == "recorded" else self._replace(worlds=self.worlds | dict.fromkeys(TILES, world))


_TILES = ("distance=euclidean",)  # the paper's, in which all its experiments are compared
_PLACES = ("normalise_features=scale",)  # Z keeps its norms, as in the paper; the preset's are all 1
_PIXELS = ("stage1.batch_size=16", "stage1.dropout=0.0", "stage1.weight_decay=0.05")  # few epochs, but many steps
_SIMULATED_PLACES = ("dataset=scenes", "scenes=630", "speech=bundled", "test_share=0.2", "validation_share=0.1")

SMALL = Scale(
    "small",
    {
        "tiles": World(
            "4000 simulated PAN–MUL scenes",
            ("dataset=scenes", "scenes=4000", "test_share=0.2", "validation_share=0.06"),
            ("stage1.epochs=10", *_PIXELS, "stage1.batch_size=8", "stage2.epochs=60", *_TILES),
        ),
        "few-tiles": World(
            "800 simulated PAN–MUL scenes",
            ("dataset=scenes", "scenes=800", "test_share=0.2", "validation_share=0.06"),
            ("stage1.epochs=10", *_PIXELS, "stage1.batch_size=8", "stage2.epochs=100", "stage2.batch_size=32", *_TILES),
            ("stage1.epochs=10", "stage1.batch_size=8", "stage2.epochs=100", "stage2.batch_size=32"),
        ),
        "places": World(
            "630 simulated aerial images, 15 voices",
            _SIMULATED_PLACES,
            ("stage1.epochs=20", "stage1.batch_size=32", "stage2.epochs=100", "stage2.lr=0.003", *_PLACES),
            ("stage1.epochs=20", "stage1.batch_size=32", "stage2.epochs=100"),
        ),
        "real": World(
            "UC Merced's 2100 images, 15 voices, some of them held out",
            ("dataset=ucmerced", "speech=bundled"),
            _PLACES,
        ),
        "released": World(
            "UC Merced's 2100 images, the released speech features, all heard in training",
            ("dataset=ucmerced", "speech=speech-features"),
            _PLACES,
        ),
        "imagenet": World(
            "UC Merced and held-out voices, images through EfficientNet-Lite0 (ImageNet) in place of VGG-16",
            ("dataset=ucmerced", "speech=bundled"),
            preset="image-speech_lite0",
        ),
    },
    "Simulated scenes; with --data also UC Merced. Fewer epochs than the presets have.",
)
FULL = Scale(
    "full",
    {
        **dict.fromkeys(TILES, World("DSRSID, 80 000 PAN–MUL pairs", ("dataset=dsrsid", "test_share=0.0625"), _TILES)),
        **dict.fromkeys(("places", "real"), World(SMALL.worlds["real"].words, ("speech=bundled",), _PLACES)),
        "released": World(
            "UC Merced's 2100 images, the released speech features", ("speech=speech-features",), _PLACES
        ),
        "imagenet": SMALL.worlds["imagenet"],
    },
    "DSRSID (simulated where it is absent) and UC Merced from the user's copy, the presets' own lengths of training.",
)
SCALE_BY_NAME = {scale.name: scale for scale in (SMALL, FULL)}
