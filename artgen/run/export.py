"""An averaged generator for use elsewhere: safetensors with its recipe, or ONNX."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from artgen import files
from artgen.errors import ArtgenError, RecipeError
from artgen.run.opening import OpenRun
from artgen.run.pictures import given_for

WEIGHTS, RECIPE, ONNX = "generator.safetensors", "recipe.toml", "generator.onnx"

_TOLERANCE = 1e-3
"""Largest difference in a picture value, of a range of 2, between torch and ONNX: an eighth of one of 256 steps."""


def require_room(folder: Path) -> None:
    """Make the folder of an export, or see that none of its files is there.

    Raises:
        RecipeError: One is there already.
        ResourceError: The folder cannot be made.
    """
    with files.disk_trouble(folder, "the folder cannot be made"):
        files.make_folder(folder)
    for path in (folder / name for name in (WEIGHTS, RECIPE, ONNX)):
        if path.exists():
            raise RecipeError("the file is there already", place=str(path), remedy="Choose another folder with --out.")


def require_onnx(run: OpenRun) -> None:
    """See that the generator of a run can become ONNX here.

    Raises:
        RecipeError: The packages for ONNX are missing, the generator takes no input, or it draws.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise RecipeError(f"ONNX needs {', '.join(missing)}", remedy="pip install 'artgen[onnx]', or use --no-onnx.")
    if run.average.takes == "nothing":
        raise RecipeError("a canvas is a picture, not a network: it cannot become ONNX", remedy="Use --no-onnx.")
    given, _ = _examples(run)
    with torch.no_grad():
        if not torch.equal(*(run.generator.sample(given) for _ in range(2))):
            raise RecipeError(
                f"the generator `{run.recipe.generator.label}` draws at random also when it makes pictures: ONNX could "
                "not be compared with torch",
                place=str(run.folder.path),
                remedy="Use --no-onnx, or train one that does not.",
            )


def export_weights(run: OpenRun, folder: Path) -> list[Path]:
    """Write `generator.safetensors` (settled weights in fp32) and `recipe.toml`.

    Raises:
        ResourceError: The disk is full.
    """
    state = {name: value.cpu().contiguous() for name, value in run.generator.state_dict().items()}
    facts = {
        "artgen_run": run.folder.path.name,
        "images": str(run.clock.images),
        "generator": run.recipe.generator.label,
    }
    with files.disk_trouble(folder, "the weights cannot be written"):
        files.replace(folder / WEIGHTS, save(state, metadata=facts))
        files.replace(folder / RECIPE, run.recipe.to_toml().encode())
    return [folder / WEIGHTS, folder / RECIPE]


def _examples(run: OpenRun) -> tuple[Tensor, Tensor]:
    """What the generator is given: two of it and three."""
    two, three = (
        given_for(run.average, count, run.recipe.seed, "export", torch.device("cpu"), run.sources, run.size)
        for count in (2, 3)
    )
    assert two is not None
    assert three is not None
    return two, three


class _Sampler(nn.Module):
    """`sample` as the `forward` that an exporter traces."""

    def __init__(self, run: OpenRun) -> None:
        super().__init__()
        self.generator = run.generator.float()

    def forward(self, given: Tensor) -> Tensor:
        return self.generator.sample(given)


def export_onnx(run: OpenRun, folder: Path) -> tuple[Path, float]:
    """Write `generator.onnx`, from latents or pictures (N free) to pictures in [-1, 1], and compare it with torch.

    Returns:
        The file and the largest difference in a value, over a batch of another size than the traced one.

    Raises:
        ArtgenError: The exported network does not make the same pictures; no file is written.
        ResourceError: The disk is full.
    """
    import onnxruntime

    sampler = _Sampler(run).cpu().eval()
    traced, checked = _examples(run)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that nobody here uses
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's advice to its own developers
        program = torch.onnx.export(
            sampler,
            (traced,),
            input_names=["given"],
            output_names=["pictures"],
            dynamic_shapes={"given": {0: torch.export.Dim("pictures_count", min=1)}},
            dynamo=True,
            verbose=False,
        )
        expected = sampler(checked)
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"given": checked.numpy()})
    difference = float((torch.from_numpy(made) - expected).abs().max())
    if not difference <= _TOLERANCE:
        raise ArtgenError(f"ONNX and torch differ by up to {difference:.3g}", remedy="Please report this generator.")
    path = folder / ONNX
    with files.disk_trouble(path, "the network cannot be written"):
        files.replace(path, content)
    return path, difference
