"""Each suite finds each fault by the right checks, which say what to do; and finds nothing where there is none."""

from __future__ import annotations

import inspect
import re

import pytest
import torch

from artgen.rng import drawing
from artgen.testing import (
    AugmentationContract,
    CriticContract,
    DatasetContract,
    ExecutorContract,
    FeaturesContract,
    GeneratorContract,
    LossContract,
    MetricContract,
    PathContract,
    SourceContract,
    TrainerContract,
)
from tests.families import adding, canvas, growing, pyramid, translator
from tests.testing import faulty

SUITES = {
    "generator": GeneratorContract,
    "critic": CriticContract,
    "loss": LossContract,
    "trainer": TrainerContract,
    "augment": AugmentationContract,
    "data": DatasetContract,
    "source": SourceContract,
    "features": FeaturesContract,
    "metric": MetricContract,
    "executor": ExecutorContract,
    "path": PathContract,
}
TOYS = [adding, canvas, growing, pyramid, translator]
pytestmark = pytest.mark.usefixtures("one_thread")

RESUME = "test_stopped_run_ends_in_the_same_bytes"
EXACT = {RESUME: "no counter, cache or generator of its own"}
EVAL = {"test_eval_mode_takes_each_by_itself": "running statistics"}
WAITS = {"test_nothing_waits_for_the_host": "torch.where"}
TWICE = {"test_it_can_be_differentiated_twice": "in place"}
ROUND_TRIP = {"test_state_round_trip": "persistent buffers"}
PROCESS = {"test_factory_leaves_the_process_alone": "torch's global generator"}
TILES = "test_a_tile_sees_what_the_whole_sees"
BF16 = {"test_bf16": "not finite"}
IN_EVERY_SPACE = (
    "test_latents_have_the_form_of_keyframes",
    "test_it_draws_nothing",
    "test_it_keeps_to_the_prior",
    "test_a_latent_depends_on_its_own_position_only",
    "test_a_learned_prior_has_no_origin",
    "test_a_loop_closes",
    "test_it_goes_without_a_leap",
)

SOUND = [
    ("generator", "sound"),
    ("critic", "sound-critic"),
    ("critic", "sound-pair-critic"),
    ("loss", "sound-loss"),
    ("loss", "sound-pair-loss"),
    ("loss", "good"),
    ("trainer", "plain"),
    ("augment", "brightness"),
    ("data", "sound-data"),
    ("data", "refuses-well"),
    ("data", "sound-contents"),
    ("source", "negative"),
    ("features", "sound-features"),
    ("features", "sound-layers"),
    ("metric", "sound-metric"),
    ("path", "sound-path"),
    ("path", "sound-open-path"),
    ("path", "around"),
]
REPAINTED = {
    "two-of-one-name": "no two alike",
    "name-is-a-path": "fit for a file",
    "mask-on-nothing": r"`where` of a style is ndarray uint8 \(64, 64\): give a NumPy array \(48, 64\)",
    "mask-of-floats": "`part` of a style is ndarray float64",
    "weighs-nothing": "more than 0",
    "neighbour-of-another-size": "the content of a neighbour",
    "finished-in-bytes": r"\[-1, 1\]",
    "finished-as-the-first": "look at `first`",
}
EXECUTORS = {name for name in vars(ExecutorContract) if name.startswith("test_")}
# Component -> the checks that fail, and what each of them advises. A tiny run is made, and processes are started, only
# where that is to fail: it takes longer than all other checks together.
FAULTS = {
    ("generator", "too-bright"): {"test_pictures_of_every_size": r"float32 in \[-1, 1\]"},
    ("generator", "always-square"): {
        "test_pictures_of_every_size": "refuse it in the factory",
        "test_like_has_the_form_of_forward": "one form",
    },
    ("generator", "cut"): {"test_gradients_reach_every_parameter": r"first\.bias, first\.weight: .*`detach`"},
    ("generator", "unlike"): {"test_like_has_the_form_of_forward": "a critic must see both in one form"},
    ("generator", "noisy-in-eval"): {
        "test_eval_mode_is_deterministic": r"if self\.training",
        **EVAL,
        **ROUND_TRIP,
    },
    ("generator", "private-noise"): EXACT,
    ("generator", "mixed-batch"): EVAL,
    ("generator", "forgetful-buffer"): ROUND_TRIP | EXACT,
    ("generator", "weights-from-numpy"): {"test_weights_follow_the_seed": "from NumPy's", **PROCESS, **EXACT},
    ("generator", "weights-always-the-same"): {"test_weights_follow_the_seed": "Two seeds"},
    ("generator", "begins-anew"): {"test_begin_is_idempotent": "return at once"},
    ("generator", "never-grows"): {"test_growing_changes_the_size": "Make that size"},
    ("generator", "grows-one-step-a-call"): {
        "test_growing_and_beginning_late_give_the_same_layers": "let `begin` make all layers"
    },
    ("generator", "fades-nothing"): {"test_fade": "blend the newest level in"},
    ("generator", "reads-on-the-host"): WAITS | EVAL,
    ("generator", "meddler"): {"test_factory_leaves_the_process_alone": "cudnn.benchmark.*Python's random state"},
    ("generator", "vanishes-in-bf16"): BF16,
    ("generator", "own-latent-space"): {"test_it_says_what_it_takes": "set `self.latent"},
    ("generator", "explodes"): {"test_gradients_reach_every_parameter": "log\\(0\\)", **EVAL, **BF16},
    ("critic", "batch-in-eval"): EVAL,
    ("critic", "one-score-for-all"): {"test_logits_of_every_size": r"give logits \(N, \.\.\.\)"},
    ("critic", "once"): TWICE,
    ("critic", "overwrites"): {"test_it_leaves_pictures_alone": "no operation in place", **TWICE},
    ("critic", "sees-nothing"): {"test_gradients_reach_the_pictures": "no generator could learn", **TWICE},
    ("critic", "draws-by-itself"): EXACT,
    ("critic", "counts-in-eval"): {"test_eval_mode_is_deterministic": r"if self\.training"},
    ("loss", "calls-backward"): {"test_it_is_pure": "only the trainer's `update`"},
    ("loss", "detached"): {"test_gradient_is_right": "`detach`"},
    ("loss", "without-graph"): {"test_gradient_is_right": "create_graph=True"},
    ("loss", "in-single-precision"): {"test_gradient_is_right": r"torch\.promote_types"},
    ("loss", "vector"): {"test_value_is_a_finite_scalar": "the mean over pictures"},
    ("loss", "reads-more"): {"test_needs_are_enough": "Name every field that it reads"},
    ("loss", "misspelt"): {
        "test_needs_are_enough": "Name every field that it reads",
        "test_needs_name_its_sides": "no field of artgen.training.Outputs: fake_logit",
    },
    ("loss", "two-sides"): {
        "test_needs_are_enough": "Name every field that it reads",
        "test_needs_name_its_sides": "say for each side",
    },
    ("loss", "remembers"): {"test_it_is_pure": "keep no state", **EXACT},
    ("loss", "in-place"): {"test_it_is_pure": "no operation in place"},
    ("loss", "naive-logarithm"): {"test_extreme_scores_stay_finite": "softplus"},
    ("loss", "stops-to-look"): WAITS,
    ("loss", "too-coarse"): BF16,
    ("loss", "measures-means"): {"test_measures_add_up_over_tiles": "give sums and counts"},
    ("loss", "in-company"): {"test_each_picture_is_judged_by_itself": "sum over pictures"},
    ("loss", "own-noise"): {
        "test_it_is_pure": "torch's global generator",
        "test_gradient_is_right": "Jacobian mismatch",
    },
    ("loss", "undocumented"): {"test_options_are_documented": "docstring below each of these options: strength"},
    ("loss", "bad-default"): {"test_options_come_back_from_json": "A default is no value"},
    ("loss", "bends"): {"test_options_refuse_what_is_out_of_bounds": "let no validator bend"},
    ("loss", "only-told"): {"test_options_refuse_what_is_out_of_bounds": r"layers = 0 \(minimum 1\)"},
    ("loss", "loose"): {"test_options_have_a_schema": "a type in place of Any"},
    ("trainer", "hidden-counter"): EXACT,
    ("trainer", "prints"): WAITS,
    ("trainer", "steps-by-itself"): {
        "test_weights_move_only_through_update": r"call `parts\.update|Call `parts\.update"
    },
    ("trainer", "never-moves"): {"test_weights_move_only_through_update": "No weight moves"},
    ("trainer", "promises"): {"test_it_gives_what_it_says": "take it out of `gives`"},
    ("trainer", "forgets-at-begin"): {"test_begin_is_idempotent": "only where the phase or the parameters are new"},
    ("trainer", "loads-nothing"): {"test_state_round_trip": "must take up all of it", **EXACT},
    ("trainer", "keeps-graphs"): {"test_step_gives_named_scalars": r"x\.detach\(\)"},
    ("augment", "draws-twice"): {
        "test_one_draw_serves_all_levels": "draw once, in `draw`",
        "test_a_draw_can_be_applied_again": "must draw nothing",
        "test_draws_follow_the_seed": "One seed gives two draws",
        **TWICE,
        **ROUND_TRIP,
    },
    ("augment", "crops"): {
        "test_shape_is_kept": "keep shape and type",
        "test_nothing_comes_of_nothing": "An empty batch",
    },
    ("augment", "learns"): ROUND_TRIP | EXACT,
    ("augment", "cut-off"): TWICE,
    ("augment", "own-draws"): {"test_draws_follow_the_seed": "not from one of your own", **EXACT},
    ("augment", "looks-at-logits"): WAITS,
    ("augment", "in-fp32"): {"test_bf16": "keep the type"},
    ("augment", "paints-over"): {
        "test_shape_is_kept": "no operation in place",
        "test_one_draw_serves_all_levels": "use the draw",
        "test_a_draw_can_be_applied_again": "keep nothing",
        "test_draws_follow_the_seed": "One seed",
        **TWICE,
        **ROUND_TRIP,
    },
    ("data", "one-fingerprint"): {"test_fingerprint_changes_with_the_pictures": "every option and file"},
    ("data", "other-each-time"): {"test_it_is_the_same_each_time": "a seed among the options", **PROCESS},
    ("data", "follows-the-workers"): {"test_it_is_the_same_each_time": "number of workers"},
    ("data", "floats"): {"test_pictures_are_uint8_arrays_of_the_right_size": "NumPy array of uint8"},
    ("data", "too-small"): {
        "test_pictures_are_uint8_arrays_of_the_right_size": r"\(N, H, W, 3\)",
        "test_batches_can_be_fed": "prepared at 64x63 px",
    },
    ("data", "out-of-the-box"): {"test_pictures_are_uint8_arrays_of_the_right_size": "W up to 64"},
    **{("data", name): {"test_what_is_repainted_is_told_whole": words} for name, words in REPAINTED.items()},
    ("data", "takes-any-path"): {"test_files_that_are_not_there_are_refused": "raise artgen.DataError"},
    ("data", "raises-what-comes"): {"test_files_that_are_not_there_are_refused": "not artgen.DataError"},
    ("source", "one-channel"): {
        "test_sources_have_the_form_of_pictures": "three equal channels",
        "test_nothing_comes_of_nothing": "An empty batch",
    },
    ("source", "as-bytes"): {"test_sources_have_the_form_of_pictures": "keep to .-1, 1"},
    ("source", "inverts"): {"test_sources_have_the_form_of_pictures": "no operation in place"},
    ("source", "grainy"): {
        "test_a_picture_has_one_source": "must draw nothing",
        "test_each_picture_by_itself": "rest of the batch",
    },
    ("source", "counts"): {"test_a_picture_has_one_source": "A call changes calls"},
    ("source", "evens-out"): {
        "test_each_picture_by_itself": "no statistics over the batch",
        "test_nothing_comes_of_nothing": "reduction",
    },
    ("source", "blank"): {"test_each_picture_by_itself": "Two pictures have one source"},
    ("source", "looks-first"): WAITS,
    ("features", "drops"): {
        "test_it_is_frozen": "must draw nothing",
        "test_embedding_is_one_vector_a_picture": "no statistics over the batch",
    },
    ("features", "no-gradient"): {"test_gradients_reach_the_pictures": r"requires_grad_\(False\)"},
    ("features", "deep-first"): {"test_activations_run_from_shallow_to_deep": "order them"},
    ("features", "embeds-the-batch"): {"test_embedding_is_one_vector_a_picture": "no statistics over the batch"},
    ("features", "names-too-few"): {"test_layers_have_names": "1 layers, and `forward` gives 2"},
    ("features", "names-one-twice"): {"test_layers_have_names": "have one name: deep, deep"},
    ("features", "names-what-is-not-there"): {"test_layers_have_names": "name deepest, not in"},
    ("features", "names-nothing"): {"test_layers_have_names": "set `layers`"},
    ("features", "tells-one-stride"): {
        "test_layers_have_names": "1 strides for 2 layers",
        TILES: "the right `strides`",
    },
    ("features", "finer-than-told"): {"test_layers_have_names": "cannot lie 4 px apart", TILES: "the right `strides`"},
    ("features", "short-sighted"): {TILES: "with 0 px around them.*`reach_px`"},
    ("features", "begins-anywhere"): {TILES: "or no `strides`"},
    ("features", "coarse"): BF16,
    ("features", "checks"): WAITS,
    ("metric", "not-a-number"): {"test_figures_are_finite": "give a finite float"},
    ("metric", "own-dice"): {"test_same_pictures_give_the_same_figures": "torch's global generator"},
    ("metric", "upside-down"): {"test_distances_are_smaller_for_equal_pictures": "than for noise"},
    ("metric", "wants-squares"): {"test_sizes": "give the error a `remedy`"},
    ("metric", "blackens"): {
        "test_same_pictures_give_the_same_figures": "no operation in place",
        "test_distances_are_smaller_for_equal_pictures": "than for noise",
    },
    ("executor", "forgets"): {"test_every_task_is_told_once": "never tells of film day, piece 3, film night"},
    ("executor", "stutters"): {"test_every_task_is_told_once": "yield each task once"},
    ("executor", "pretends"): {"test_every_task_is_told_once": "Nobody has begun film day, piece 0"},
    ("executor", "invents"): {"test_nothing_to_do_is_nothing": "where there are no tasks"},
    ("executor", "gives-up-at-once"): {"test_what_a_dead_process_had_to_do_is_done_again": "it died"},
    ("executor", "names-no-piece"): {"test_a_task_that_kills_is_given_up": "Name the film, the piece"},
    ("executor", "loses-the-class"): {"test_a_fault_comes_back_with_its_class": r"comes back as ArtgenError\("},
    ("executor", "hides-bugs"): {"test_a_bug_is_the_fault_of_its_film": r"Call `artgen\.walk\.jobs\.perform`"},
    ("executor", "blames-all"): dict.fromkeys(
        ["test_a_task_that_kills_is_given_up", "test_a_fault_comes_back_with_its_class"],
        "another one is not made for it",
    ),
    ("executor", "bears-full-disks"): {"test_a_full_disk_stops_all": "is not raised"},
    ("executor", "leaves-them-running"): {"test_nothing_is_left_running": "end all in a `finally`"},
    ("path", "knots-from-one"): {"test_it_says_how_it_goes": "let them rise from 0"},
    ("path", "knots-of-some"): {"test_it_says_how_it_goes": "for each, or the first alone"},
    ("path", "needs-nothing"): {"test_it_says_how_it_goes": "say how many keyframes"},
    ("path", "says-maybe"): {"test_it_says_how_it_goes": "True or False"},
    ("path", "flattens"): {"test_latents_have_the_form_of_keyframes": "keep shape and type"},
    ("path", "scales-in-place"): {
        "test_latents_have_the_form_of_keyframes": "no operation in place",
        "test_a_latent_depends_on_its_own_position_only": "",
        "test_it_goes_without_a_leap": "",
    },
    ("path", "jitters"): {
        "test_it_draws_nothing": "must draw nothing",
        "test_a_latent_depends_on_its_own_position_only": "which others are asked for",
        "test_a_loop_closes": "Position 1 is not where 0 is",
        "test_a_learned_prior_has_no_origin": "another walk",
        "test_it_goes_without_a_leap": "somewhere it leaps",
    },
    ("path", "goes-nowhere"): {
        "test_it_draws_nothing": "must go by them",
        "test_it_keeps_to_the_prior": "mends the variance",
        "test_a_learned_prior_has_no_origin": "another walk",
        "test_it_goes_without_a_leap": "must go somewhere",
    },
    ("path", "centres"): {
        "test_a_latent_depends_on_its_own_position_only": "Statistics over positions",
        "test_it_keeps_to_the_prior": "mends the variance",
        "test_a_loop_closes": "Position 1 is not where 0 is",
        "test_a_learned_prior_has_no_origin": "another walk",
    },
    ("path", "plain-lines"): {"test_it_keeps_to_the_prior": r"a deviation of 0\.[67]\d*, .*mends the variance"},
    ("path", "slides"): {"test_a_learned_prior_has_no_origin": "weights must add up to 1"},
    ("path", "never-returns"): {"test_a_loop_closes": "close the loop"},
    ("path", "open-at-the-seam"): {"test_a_loop_closes": "conditions that are periodic"},
    ("path", "hops"): {"test_it_goes_without_a_leap": "somewhere it leaps"},
    ("path", "refuses-all"): dict.fromkeys(IN_EVERY_SPACE, "It refuses every latent space:\ngaussian: no"),
    ("path", "refuses-at-a-loss"): dict.fromkeys(IN_EVERY_SPACE, "refuses the prior sphere without saying what to do"),
}
IDS = {"ids": lambda value: "-".join(value) if isinstance(value, tuple) else ""}


def checks(kind):
    return [name for name in dir(SUITES[kind]) if name.startswith("test_")]


def suite(kind, name, **attributes):
    """A suite as an author writes it."""
    more = {"metric": {"distances": ["distance"]}, "executor": {"patience_seconds": 0.5}}.get(kind, {})
    return type("TestIt", (SUITES[kind],), {"component": name, "plugins": [faulty], **more, **attributes})


def failures(suite, names, folder):
    """Those of the checks that fail, with their messages."""
    found = {}
    for name in names:
        check = getattr(suite(), name)
        (folder / name).mkdir()
        given = {"tmp_path": folder / name} if "tmp_path" in inspect.signature(check).parameters else {}
        try:
            with drawing(0, "test"):
                check(**given)
        except pytest.skip.Exception:
            pass
        except (pytest.fail.Exception, Exception) as failure:
            found[name] = str(failure)
    return found


@pytest.mark.parametrize("component", SOUND, **IDS)
def test_what_is_sound_passes(component, tmp_path):
    kind, name = component
    assert failures(suite(kind, name), checks(kind), tmp_path) == {}


def test_a_sound_loss_on_activations_passes(tmp_path):
    """Without a word about its recipe: what it needs says that it is of style transfer."""
    assert failures(suite("loss", "sound-style-loss"), checks("loss"), tmp_path) == {}


SMALL = {"sizes": [(8, 8), (16, 16)], "plugins": TOYS}
ON_CANVAS = {"recipe": "[trainer.toy-canvas]\n[losses.likeness]\n[critic]", **SMALL}
FAMILIES = {
    ("generator", "growing"): SMALL,
    ("generator", "adding"): SMALL,
    ("critic", "growing"): SMALL,
    ("critic", "pyramid"): SMALL,
    ("generator", "recolour"): SMALL,
    ("generator", "toy-canvas"): ON_CANVAS,
    ("trainer", "pairs"): {"recipe": "[generator.recolour]\n[losses.distance]\n[critic]", "plugins": TOYS},
}


@pytest.mark.parametrize(("component", "attributes"), FAMILIES.items(), **IDS)
def test_every_family_passes(component, attributes, tmp_path):
    """Those that grow, answer with a pyramid, take pictures or nothing, or have no critic."""
    kind, name = component
    assert failures(suite(kind, name, **attributes), checks(kind), tmp_path) == {}


@pytest.mark.parametrize(("component", "expected"), FAULTS.items(), **IDS)
def test_a_fault_is_found(component, expected, tmp_path):
    kind, name = component
    costly = EXECUTORS if kind == "executor" else {RESUME}
    names = [check for check in checks(kind) if check in expected or check not in costly]
    found = failures(suite(kind, name), names, tmp_path)
    while faulty.LEFT:
        faulty.LEFT.pop().close()
    assert found.keys() == expected.keys()
    for check, words in expected.items():
        assert re.search(words, found[check], re.DOTALL), found[check]


@pytest.mark.parametrize(
    "component",
    [
        ("generator", "noisy-in-eval"),
        ("augment", "draws-twice"),
        ("source", "grainy"),
        ("features", "drops"),
        ("metric", "own-dice"),
    ],
    **IDS,
)
def test_devices_that_disagree_are_found(component, tmp_path, monkeypatch):
    """Where there is no GPU, the CPU stands for it, and answers that never agree for a difference."""
    kind, name = component
    for module in ("networks", "augmentations", "sources", "features", "metrics"):
        monkeypatch.setattr(f"artgen.testing.{module}.gpu", lambda: torch.device("cpu"))
    assert list(failures(suite(kind, name), ["test_devices_agree"], tmp_path)) == ["test_devices_agree"]
    sound = {"generator": "sound", "augment": "brightness", "source": "negative"}
    sound |= {"features": "sound-features", "metric": "sound-metric"}
    assert failures(suite(kind, sound[kind]), ["test_devices_agree"], tmp_path / "test_devices_agree") == {}


def test_every_check_is_seen_to_fail():
    seen = {getattr(SUITES[kind], check) for (kind, _), expected in FAULTS.items() for check in expected}
    unseen = {(kind, check) for kind in SUITES for check in checks(kind) if getattr(SUITES[kind], check) not in seen}
    assert unseen == {(kind, "test_devices_agree") for kind in SUITES if "test_devices_agree" in checks(kind)}
