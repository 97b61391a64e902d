"""An averaged generator for use elsewhere: safetensors with its recipe, or ONNX."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from artgen.errors import ArtgenError, RecipeError
from artgen.run.opening import OpenRun
from artgen.run.pictures import given_for

_TOLERANCE = 1e-3
"""Largest difference in a picture value, of a range of 2, between torch and ONNX: an eighth of one of 256 steps."""


def export_weights(run: OpenRun, folder: Path) -> list[Path]:
    """Write `generator.safetensors` (settled weights in fp32) and `recipe.toml`.

    Raises:
        RecipeError: One of the files is there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights, recipe = _new(folder / "generator.safetensors"), _new(folder / "recipe.toml")
    state = {name: value.cpu().contiguous() for name, value in run.generator.state_dict().items()}
    facts = {"artgen_run": run.folder.path.name, "images": str(run.clock.images), "generator": run.recipe.generator.label}
    save_file(state, weights, metadata=facts)
    recipe.write_text(run.recipe.to_toml(), encoding="utf-8")
    return [weights, recipe]


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
        RecipeError: The packages for ONNX are missing, the generator takes no input, or the file is there already.
        ArtgenError: The exported network does not make the same pictures.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise RecipeError(f"ONNX needs {', '.join(missing)}", remedy="pip install 'artgen[onnx]', or use --no-onnx.")
    if run.average.takes == "nothing":
        raise RecipeError("a canvas is a picture, not a network: there is nothing to export as ONNX")
    import onnxruntime

    path = _new(folder / "generator.onnx")
    sampler = _Sampler(run).cpu().eval()
    traced, checked = (
        given_for(run.average, count, run.recipe.seed, "export", torch.device("cpu"), run.sources, run.size)
        for count in (2, 3)
    )
    assert traced is not None
    assert checked is not None
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's advice to its own developers
        torch.onnx.export(
            sampler,
            (traced,),
            str(path),
            input_names=["given"],
            output_names=["pictures"],
            dynamic_shapes={"given": {0: torch.export.Dim("pictures_count", min=1)}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        expected = sampler(checked)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"given": checked.numpy()})
    difference = float((torch.from_numpy(made) - expected).abs().max())
    if difference > _TOLERANCE:
        raise ArtgenError(
            f"ONNX and torch differ by up to {difference:.3g}", place=str(path), remedy="Please report this generator."
        )
    return path, difference


def _new(path: Path) -> Path:
    if path.exists():
        raise RecipeError("the file is there already", place=str(path), remedy="Choose another folder with --out.")
    return path
