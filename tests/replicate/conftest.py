"""The data of `worlds.SCALE`."""

import pytest
import worlds

from cmir_ref.data.ucmerced import CLASS_NAMES


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """63 images of all classes and the released speech features, in the data sets' own formats: read in no time."""
    folder = tmp_path_factory.mktemp("data")
    return worlds.write_speech_features(worlds.write_ucmerced(folder, CLASS_NAMES, count=3))
