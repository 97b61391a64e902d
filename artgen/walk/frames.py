"""The frames of a film, one after the other, for whoever writes Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from pydantic import ValidationError

from artgen import files
from artgen.data.dataset import Workshop
from artgen.data.images import Picture
from artgen.data.pixels import to_uint8
from artgen.errors import RecipeError
from artgen.plugins import load_plugins
from artgen.recipe import Chosen, Films
from artgen.walk.studio import Studio


def frames_of(
    run: str | Path,
    *,
    path: str = "spline",
    device: torch.device | str = "cpu",
    workshop: Workshop | None = None,
    **table: Any,
) -> Iterator[Picture]:
    """The frames (H, W, 3) uint8 of the film that `artgen render` would make of a table `[videos.NAME]`.

    They are made in batches as they are asked for: a few of a long film cost a few. After the last frame of a loop
    comes the first. On the CPU, unless told: then they are the same whatever other devices the machine has.

    Args:
        run: The folder of a run.
        path: The name of a walk.
        device: Where pictures are made.
        workshop: Shows progress and prepares pictures, where the generator needs some; by default quietly.
        table: What else the table says: `keyframes=8, seconds=12, seed=7`.

    Raises:
        CheckpointError: It is no run folder, or holds no checkpoint that is whole.
        PluginError: A plugin that the run was made with is missing, or no plugin has such a path.
        RecipeError: The table has a fault, or the generator takes no latents.
        ResourceError: A batch of frames does not fit into memory.
    """
    plugins = load_plugins()
    component = plugins.component("path", path)
    try:
        options = component.options.model_validate_json(json.dumps(table), context={"": str(Path.cwd())})
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise RecipeError(
            told, place=f"a film of {run}", remedy="The recipe reference lists what may be said."
        ) from None
    except TypeError as error:  # no value of a table
        raise RecipeError(str(error), place=f"a film of {run}") from None
    chosen: Chosen[Any] = Chosen("film", path, component, options)
    films = Films(name="film", file=Path(run), title="", features=None, executor=None, videos=(chosen,))
    with TemporaryDirectory() as folder:  # nothing is kept
        quiet = workshop or Workshop(files.cache_folder(), lambda title, total: nullcontext(lambda count: None), 1)
        film = Studio(films, Path(folder), torch.device(device), plugins, quiet, Path(run)).plan("film", chosen)
    for pictures in film.shot().pictures(range(film.frames)):
        yield from to_uint8(pictures).permute(0, 2, 3, 1).cpu().numpy()
