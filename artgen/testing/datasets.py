"""What a data set promises."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, cast

import numpy as np
import torch

from artgen.components import DataOptions, Kind
from artgen.data.dataset import Dataset, Workshop
from artgen.data.feed import Feed
from artgen.errors import ArtgenError
from artgen.testing.runs import workshop
from artgen.testing.suite import ComponentContract
from artgen.testing.verdicts import failed, require
from artgen.training import Size


class DatasetContract(ComponentContract):
    """What a data set promises (`artgen.data.Dataset`)."""

    kind: ClassVar[Kind] = "data"
    other_options: Mapping[str, Any] = MappingProxyType({})
    """Options that give other pictures. By default a larger resolution does."""

    def given(self, folder: Path) -> tuple[Any, ...]:
        return (workshop(folder),)

    def made(self, cache: Path, workers: int = 1, **more: Any) -> Dataset:
        """The data set, made with this folder as its cache."""
        options, factory = self.filled(**more), self.found().load()
        dataset: Dataset = factory(options, Workshop(cache, workshop(cache).progress, workers))
        return dataset

    def test_pictures_are_uint8_arrays_of_the_right_size(self, tmp_path: Path) -> None:
        """`real`, and `source` of pairs, are arrays (N, H, W, 3) uint8 of the size that the options ask for."""
        dataset = self.made(tmp_path)
        for name, pictures in (("real", dataset.real), ("source", dataset.source)):
            if name == "source" and pictures is None:
                continue
            require(
                isinstance(pictures, np.ndarray) and pictures.dtype == np.uint8,
                f"`{name}` is {type(pictures).__name__} {getattr(pictures, 'dtype', '')}: give a NumPy array of uint8, "
                "which may be memory-mapped.",
            )
            assert pictures is not None
            wanted = (len(dataset), *cast(DataOptions, self.filled()).size, 3)
            require(
                pictures.shape == wanted and len(dataset),
                f"`{name}` has the shape {pictures.shape}: give (N, H, W, 3) = {wanted} with N > 0.",
            )

    def test_it_is_the_same_each_time(self, tmp_path: Path) -> None:
        """Made anew, from the cache, with other workers, after other draws: the same pictures and fingerprint."""
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002  # the global one is meant
        first: Any = self.made(tmp_path / "a")
        require(
            isinstance(first.fingerprint, str) and first.fingerprint,
            f"`fingerprint` is {first.fingerprint!r}: give a text that changes whenever a pixel would.",
        )
        torch.manual_seed(2)
        np.random.seed(2)  # noqa: NPY002
        for how, again in (
            ("opened from the cache", self.made(tmp_path / "a")),
            ("made anew", self.made(tmp_path / "b", workers=2)),
        ):
            require(
                first.fingerprint == again.fingerprint,
                f"The fingerprint is another one when the data set is {how}, so no run could be resumed: make it from "
                "what the pictures depend on, not from a time, a path of the cache or a random number.",
            )
            require(
                _equal(first.real, again.real) and _equal(first.source, again.source),
                f"The pictures are other ones when the data set is {how}: sort files by name, draw from a generator "
                "with a seed among the options, and let the number of workers decide nothing.",
            )

    def test_fingerprint_changes_with_the_pictures(self, tmp_path: Path) -> None:
        """Options that give other pictures give another fingerprint: a run must not go on with other pictures."""
        height, width = cast(DataOptions, self.filled()).size
        more = dict(self.other_options) or {"resolution": [width + 4, height + 4]}
        first, other = self.made(tmp_path), self.made(tmp_path, **more)
        require(
            not _equal(first.real, other.real) or not _equal(first.source, other.source),
            f"The options {more} give the same pictures: set `other_options` in {type(self).__name__} to ones that do "
            "not.",
        )
        require(
            first.fingerprint != other.fingerprint,
            f"The options {more} give other pictures and the same fingerprint, so a run would go on with the wrong "
            "ones: let it follow from every option and file that the pictures depend on.",
        )

    def test_files_that_are_not_there_are_refused(self, tmp_path: Path) -> None:
        """Where it reads a `path`, one that leads nowhere is a DataError that names it."""
        if "path" not in self.found().options.model_fields:
            return
        nowhere = str(tmp_path / "nowhere")
        try:
            self.made(tmp_path, path=nowhere)
        except ArtgenError as error:
            require(nowhere in str(error) and error.remedy, f"The error names no path, or no remedy: {error}")
        except Exception as error:
            raise failed(f"A path that leads nowhere raises {error!r}, not artgen.DataError.") from None
        else:
            raise failed("A path that leads nowhere is taken: raise artgen.DataError(cause, place=..., remedy=...).")

    def test_batches_can_be_fed(self, tmp_path: Path) -> None:
        """artgen makes batches of it: floats (N, 3, H, W) in [-1, 1]."""
        dataset, options = self.made(tmp_path), cast(DataOptions, self.filled())
        batch = Feed(dataset, 0, "cpu", mirror=options.mirror).batch(0, 2, Size(*options.size))
        assert batch.real.shape == (2, 3, *options.size)
        assert batch.real.abs().max() <= 1


def _equal(first: Any, second: Any) -> bool:
    return (first is None and second is None) or np.array_equal(first, second)
