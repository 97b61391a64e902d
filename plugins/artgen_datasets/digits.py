"""The digits that come with scikit-learn (Alpaydin and Kaynak 1998, test part): grey, 8 px, 17 levels."""

from __future__ import annotations

import numpy as np

from artgen import PluginError
from artgen.data import Dataset, Workshop
from artgen_datasets import DigitsOptions
from artgen_datasets.arrays import from_rows


def digits(options: DigitsOptions, workshop: Workshop) -> Dataset:
    """All 1,797 digits, white on black.

    Raises:
        PluginError: scikit-learn is not installed.
    """
    try:
        import sklearn
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise PluginError(
            "the digits come with scikit-learn, which is not installed",
            place="data 'digits'",
            remedy='pip install "artgen[digits]"',
        ) from error
    levels = load_digits().images  # (1797, 8, 8), 0 to 16
    grey = np.round(levels * (255 / 16)).astype(np.uint8)
    return from_rows(grey, len(grey), options.size, ["digits", sklearn.__version__], workshop)
