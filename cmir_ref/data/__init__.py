"""The data sets, and what training asks of them: `load_data`, `split_data`, `pairs_of`, `read_query`."""

from ..records import Dataset, Modality, Splits
from . import ucmerced, wald
from .cache import cached_scenes
from .dsrsid import load_dsrsid
from .features import load_features, load_scores, load_unified, write_features
from .folder import load_folder
from .images import read_image
from .pairs import draw_pairs, given_pairs, pairs_of
from .query import digests_of, read_query
from .samples import samples_dir, write_samples
from .scenarios import SCENARIOS, data_in_words, load, load_data, protocol_of, split_data
from .sketches import is_drawing, load_sketches, read_sketch
from .speech import load_speech, log_mel_patch
from .speech_features import load_speech_features
from .splits import PROTOCOLS, split
from .validation import as_multi_hot, check

__all__ = [
    "PROTOCOLS",
    "SCENARIOS",
    "Dataset",
    "Modality",
    "Splits",
    "as_multi_hot",
    "cached_scenes",
    "check",
    "data_in_words",
    "digests_of",
    "draw_pairs",
    "given_pairs",
    "is_drawing",
    "load",
    "load_data",
    "load_dsrsid",
    "load_features",
    "load_folder",
    "load_scores",
    "load_sketches",
    "load_speech",
    "load_speech_features",
    "load_unified",
    "log_mel_patch",
    "pairs_of",
    "protocol_of",
    "read_image",
    "read_query",
    "read_sketch",
    "samples_dir",
    "split",
    "split_data",
    "ucmerced",
    "wald",
    "write_features",
    "write_samples",
]
