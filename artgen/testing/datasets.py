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
        """`real`, and `source` of pairs, are arrays (N, H, W, 3) uint8 of the size that the options ask for.

        Contents that are repainted have the shape of their files, and fit into that size.
        """
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
            box = cast(DataOptions, self.filled()).size
            size, fits = box, f"(N, H, W, 3) = {(len(dataset), *box, 3)}"
            if dataset.repainting is not None and pictures.ndim == 4:
                size = min(pictures.shape[1], box[0]), min(pictures.shape[2], box[1])
                fits = f"(N, H, W, 3) with H up to {box[0]} and W up to {box[1]}"
            require(
                pictures.shape == (len(dataset), *size, 3) and pictures.size,
                f"`{name}` has the shape {pictures.shape}: give {fits}, and N > 0.",
            )

    def test_what_is_repainted_is_told_whole(self, tmp_path: Path) -> None:
        """Of contents that are repainted: a name for each, styles with masks that lie on them, and how to finish."""
        dataset = self.made(tmp_path)
        repainting = dataset.repainting
        if repainting is None:
            return
        names, size = repainting.names, dataset.real.shape[1:3]
        require(
            len(set(names)) == len(dataset) and all(names) and not any(set("/\\") & set(name) for name in names),
            f"`names` is {names}: give one for each of {len(dataset)} pictures, no two alike, fit for a file.",
        )
        require(repainting.styles, "`styles` is empty: give at least one.")
        for style in repainting.styles:
            _require_picture("the picture of a style", style.picture, (*style.picture.shape[:2], 3))
            require(style.weight > 0, f"The weight of a style is {style.weight}: give more than 0.")
            for name, mask, shape in (("where", style.where, size), ("part", style.part, style.picture.shape[:2])):
                if mask is not None:
                    _require_picture(f"`{name}` of a style", mask, shape)
        for neighbour in (repainting.before, repainting.after):
            if neighbour is not None:
                _require_picture("the content of a neighbour", neighbour.content, (*size, 3))
                _require_picture("what was made of a neighbour", neighbour.made, (*size, 3))
        if repainting.finish is None:
            return
        for height, width in (size, (size[0] // 2, size[1] // 2)):  # of the whole, and of a smaller phase
            made = torch.rand(len(dataset), 3, height, width) * 2 - 1
            finished = repainting.finish(made, 0)
            require(
                any(finished.shape == (len(dataset), channels, height, width) for channels in (3, 4))
                and finished.dtype == made.dtype
                and bool(finished.abs().le(1).all()),
                f"`finish` turns {tuple(made.shape)} into {tuple(finished.shape)} {finished.dtype}: give (N, 3 or "
                "4, H, W) in [-1, 1], of the type that it was given.",
            )
            last = repainting.finish(made[-1:], len(dataset) - 1)
            require(
                torch.allclose(last, finished[-1:], atol=1e-5),
                "`finish` makes another picture of the last one by itself than among the others: look at `first`, its "
                "place in the data set.",
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
        """Where it reads a `path`, or a `content`, one that leads nowhere is a DataError that names it."""
        name = next((name for name in ("path", "content") if name in self.found().options.model_fields), "")
        if not name:
            return
        nowhere = str(tmp_path / "nowhere")
        given: dict[str, Any] = {name: nowhere}
        try:
            self.made(tmp_path, **given)
        except ArtgenError as error:
            require(nowhere in str(error) and error.remedy, f"The error names no path, or no remedy: {error}")
        except Exception as error:
            raise failed(f"A path that leads nowhere raises {error!r}, not artgen.DataError.") from None
        else:
            raise failed("A path that leads nowhere is taken: raise artgen.DataError(cause, place=..., remedy=...).")

    def test_batches_can_be_fed(self, tmp_path: Path) -> None:
        """artgen makes batches of it: floats (N, 3, H, W) in [-1, 1]."""
        dataset, options = self.made(tmp_path), cast(DataOptions, self.filled())
        count, size = 2, Size(*options.size)
        if dataset.repainting is not None:  # all of them make up every batch
            count, size = len(dataset), Size(*dataset.real.shape[1:3])
        batch = Feed(dataset, 0, "cpu", mirror=options.mirror).batch(0, count, size)
        assert batch.real.shape == (count, 3, *size)
        assert batch.real.abs().max() <= 1


def _require_picture(what: str, found: Any, shape: tuple[int, ...]) -> None:
    require(
        isinstance(found, np.ndarray) and found.dtype == np.uint8 and found.shape == shape and found.size,
        f"{what} is {type(found).__name__} {getattr(found, 'dtype', '')} {getattr(found, 'shape', '')}: give a NumPy "
        f"array {shape} of uint8.",
    )


def _equal(first: Any, second: Any) -> bool:
    return (first is None and second is None) or np.array_equal(first, second)
