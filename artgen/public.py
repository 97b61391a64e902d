"""What a plugin may count on: the one list. Everything that is not named here may change in any release.

`docs/public-api.md` is made from it, with every signature; a change there is a change of what was promised.
"""

from __future__ import annotations

from collections.abc import Mapping

import artgen
import artgen.testing

PUBLIC: Mapping[str, tuple[str, ...]] = {
    "artgen": tuple(artgen.__all__),
    "artgen.hookspecs": ("Registration", "Events"),
    "artgen.components": ("Kind", "Side"),
    "artgen.training": (
        "Augmentation",
        "Batch",
        "Clock",
        "Critic",
        "Features",
        "Film",
        "Form",
        "Generator",
        "LatentSpace",
        "Losses",
        "LossTerm",
        "Measured",
        "Motion",
        "Network",
        "Outputs",
        "Parts",
        "Phase",
        "Place",
        "Prior",
        "Region",
        "Size",
        "Source",
        "Style",
        "Trainer",
        "Update",
        "Wanted",
        "moves",
    ),
    "artgen.download": ("Published", "kept_part", "pinned"),
    "artgen.files": ("cache_folder",),
    "artgen.metrics": ("Measured", "Metric", "PairMetric"),
    "artgen.nn.equalised": ("EqualisedConvolution", "EqualisedLinear"),
    "artgen.nn.grid": ("level_of", "starting_grid"),
    "artgen.nn.levels": ("DoublingLevel", "FirstLevel", "HalvingLevel", "LastLevel", "activate", "channels"),
    "artgen.nn.minibatch": ("MinibatchDeviation",),
    "artgen.nn.pixels": ("blur", "downscale", "pixel_norm", "pyramid", "upscale"),
    "artgen.data": ("Dataset", "Neighbour", "Pictures", "Progress", "Repainting", "StylePicture", "Workshop"),
    "artgen.data.cache": ("file_part", "kept", "key_of"),
    "artgen.data.crop": ("frame",),
    "artgen.data.folder": ("prepare",),
    "artgen.data.images": ("MAX_PIXELS", "Picture", "read", "read_with_alpha", "resize", "shown"),
    "artgen.data.pairs": ("prepare_folders", "prepare_halves"),
    "artgen.data.pixels": ("grid", "to_float", "to_uint8"),
    "artgen.data.scan": ("Found", "Scan", "Skipped", "look_through"),
    "artgen.distributed": ("mean_over_ranks_", "rank", "world_size"),
    "artgen.film": ("FilmInfo", "FilmWriter", "note_in", "probe", "read_frames"),
    "artgen.plugins": ("Plugins", "load_plugins"),
    "artgen.recipe": ("Recipe", "load_recipe"),
    "artgen.run.record": ("RunFolder",),
    "artgen.walk": ("Path", "frames_of"),
    "artgen.walk.handing": ("Handing",),
    "artgen.walk.jobs": ("Executor", "Job", "Outcome", "Task", "Tell", "perform"),
    "artgen.walk.prior": ("combine", "from_normal", "norms", "require_round", "sums", "to_normal"),
    "artgen.testing": tuple(artgen.testing.__all__),
}
"""Module -> the names in it that are promised."""

ONLY: Mapping[str, tuple[str, ...]] = {
    "Plugins": ("__init__", "component", "components", "owner"),
    "RunFolder": ("checkpoints", "recipe_toml", "metrics", "store"),
    **dict.fromkeys(artgen.testing.__all__, ()),
}
"""Of some classes only these methods are promised: the others are the core's own."""
