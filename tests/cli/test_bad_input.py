"""Bad input: the exit code of the design, one message with place, cause and remedy, and nothing lost."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from stranger_code import Painter

from artgen.recipe import load_recipe
from artgen.run import checkpoint
from artgen.run.lock import Lock
from tests.cli.conftest import content, paint, refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "rembrant"], ["rembrant", "Did you mean 'rembrandt'?"]),
        (["run", "nowhere/else.toml"], ["nowhere/else.toml", "no such file"]),
        (["run", "tiny.toml", "--set", "rubbish"], ["--set rubbish", "there is no '='", "--set key.of.table=value"]),
        (["run", "tiny.toml", "--set", "=3"], ["--set =3", "not a TOML key"]),
        (["run", "tiny.toml", "--set", "seed=[1"], ["--set seed=[1", "not a TOML value"]),
        (["run", "tiny.toml", "--set", "generator.dense.latnt=3"], ["generator.dense.latnt", "Did you mean 'latent'?"]),
        (["run", "tiny.toml", "--set", "trainer.adversarial.learning_rate=nan"], ["finite number", "nan"]),
        (["run", "tiny.toml", "--set", "phase=[{images=9999999999999,batch=8}]"], ["1000000000000 or less"]),
        (["run", "tiny.toml", "--set", "phase=[{images=8,batch=1048577}]"], ["1048576 or less"]),
        (["run", "tiny.toml", "--data", ""], ["--data", "data.folder.path"]),
        (["check", "tiny.toml", "--set", "seed=-1"], ["seed", "0 or more"]),
        (["recipe", "show", "rembrant"], ["Did you mean 'rembrandt'?"]),
    ],
)
def test_a_wrong_command_line_does_nothing(artgen, here, arguments, said):
    before = content(here)
    refused(artgen(*arguments), 2, *said)
    assert content(here) == before


def test_a_wrong_recipe_tells_all_its_faults(artgen, here):
    (here / "wrong.toml").write_text('seed = "x"\n[data.digits]\nresolution = 2\n[generator.densee]\n')
    refused(
        artgen("run", "wrong.toml"), 2, "seed: ", "resolution 2 is outside", "Did you mean 'dense'?", "names no trainer"
    )
    assert not (here / "runs").exists()


@pytest.mark.parametrize("how", ["missing", "empty", "a file", "unreadable", "broken"])
def test_a_folder_without_pictures_is_told_before_training_and_can_be_mended(artgen, here, how):
    folder, said = here / "pictures", {"missing": "No such file", "empty": "no pictures", "a file": "not a folder"}
    if how == "empty":
        folder.mkdir()
    elif how == "a file":
        folder.write_text("not a folder")
    elif how == "unreadable":
        folder.symlink_to(folder)
    elif how == "broken":
        paint(folder, 2)
        for index in range(5):
            (folder / f"broken-{index}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    before = content(here)
    refused(artgen("run", "tiny.toml", "--data", folder), 3, str(folder), said.get(how, ""))
    if how == "broken":
        refused(artgen("run", "tiny.toml", "--data", folder), 3, "5 of 7", "broken-0.png")
    assert {name: held for name, held in content(here).items() if not name.startswith("runs/")} == before
    # Nothing was trained, so the mended command needs no --fresh.
    paint(here / "right", 12)
    assert artgen("run", "tiny.toml", "--data", "right").code == 0


def test_pictures_that_changed_since_are_refused(artgen, here):
    paint(here / "pictures", 12)
    command = ["run", "tiny.toml", "--data", "pictures", "--set", "phase=[{images=80,batch=8}]"]
    assert artgen(*command).code == 0
    run = here / "runs" / "tiny"
    (run / "figures.json").unlink()  # as if it had been killed before its end
    paint(here / "pictures", 1, first=99)
    before = content(run / "checkpoints")
    refused(artgen(*command), 3, "not those that this run began with", "--fresh")
    refused(artgen("evaluate", run), 3, "not those that this run began with")
    assert content(run / "checkpoints") == before
    (here / "pictures" / "099.png").unlink()
    assert artgen(*command).code == 0


def test_a_folder_of_something_else_stays_as_it_is(artgen, here):
    paint(here / "pictures", 3)
    before = content(here)
    refused(artgen("run", "tiny.toml", "--out", "pictures"), 2, "not the folder of a run", "--out")
    refused(artgen("run", "tiny.toml", "--out", "tiny.toml"), 2, "it is no folder", "--out")
    assert content(here) == before


def test_a_busy_run_folder_is_refused(artgen, run):
    lock, before = Lock(run / ".lock"), content(run)
    try:
        refused(artgen("run", "tiny.toml", "--fresh"), 4, str(run), "another process works in this folder", "--out")
        assert artgen("sample", run, "--count", 1, "--out", "elsewhere").code == 0  # looking is free
    finally:
        lock.release()
    assert content(run) == before


@pytest.mark.parametrize("command", ["sample", "evaluate", "export"])
def test_what_is_no_run_cannot_be_looked_at(artgen, here, command):
    paint(here / "pictures", 1)
    refused(artgen(command, "pictures"), 4, "pictures: there is no run here", "run.json")
    refused(artgen(command, "nowhere"), 4, "nowhere: there is no such folder")
    refused(artgen(command, "tiny.toml"), 4, "tiny.toml")


def test_a_run_without_a_checkpoint_cannot_be_sampled(artgen, run):
    shutil.rmtree(run / "checkpoints")
    refused(artgen("sample", run), 4, "no checkpoint yet")


def _damage(folder):
    file = folder / "trainer.safetensors"
    held = bytearray(file.read_bytes())
    held[-1] ^= 1
    file.write_bytes(held)


def test_a_damaged_newest_checkpoint_is_set_aside_and_told(artgen, run, caplog):
    (run / "figures.json").unlink()
    final = (run / "samples" / "final.png").read_bytes()
    newest, older = checkpoint.committed(run / "checkpoints")
    _damage(newest)
    assert artgen("sample", run, "--count", 1).code == 0
    assert "damaged checkpoint" in caplog.text
    assert newest.exists()  # only the owner of the folder renames
    caplog.clear()
    assert artgen("run", "tiny.toml").code == 0
    assert f"falling back to {older}" in caplog.text
    assert "SHA-256" in caplog.text
    assert (run / "checkpoints" / f"damaged-{newest.name}").is_dir()
    assert (run / "samples" / "final.png").read_bytes() == final  # what was lost was trained again


def test_if_all_checkpoints_are_damaged_none_is_lost(artgen, run):
    (run / "figures.json").unlink()
    for path in checkpoint.committed(run / "checkpoints"):
        _damage(path)
    before = content(run / "checkpoints")
    refused(artgen("run", "tiny.toml"), 4, "no checkpoint is whole", "SHA-256", "--fresh")
    refused(artgen("sample", run), 4, "no checkpoint is whole")
    assert content(run / "checkpoints") == before


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b'{"artgen_run": 99}'])
def test_a_damaged_run_json_is_refused(artgen, run, record):
    (run / "run.json").write_bytes(record)
    before = content(run)
    refused(artgen("run", "tiny.toml"), 4, str(run))
    refused(artgen("sample", run), 4, str(run))
    assert content(run) == before


def test_a_checkpoint_of_another_generator_is_refused(artgen, here, stranger, monkeypatch):
    assert artgen("run", "painter.toml").code == 0  # it cannot be weighed beforehand, which is no reason to refuse it
    run = here / "runs" / "painter"
    (run / "figures.json").unlink()
    monkeypatch.setattr(Painter, "hidden", 5)  # the stranger's next release
    before = content(run / "checkpoints")
    for command in (["run", "painter.toml"], ["sample", run], ["export", run], ["evaluate", run]):
        refused(artgen(*command), 4, "does not fit", "body.0.weight", "run.json")
    assert content(run / "checkpoints") == before


def test_a_missing_plugin_is_named(artgen, here, stranger):
    assert artgen("run", "painter.toml").code == 0
    stranger()
    run = here / "runs" / "painter"
    refused(artgen("sample", run), 5, str(run), "'painter'", "stranger", "Install")
    refused(artgen("run", "painter.toml"), 2, "no plugin provides the generator 'painter'")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there(artgen, here):
    refused(artgen("run", "tiny.toml", "--device", "cuda"), 2, "no cuda device", "--device auto")
    assert not (here / "runs").exists()


def test_an_absurd_size_is_refused_with_figures_and_can_be_mended(artgen, here):
    absurd = "generator.dense.hidden=[65536,65536,65536]"
    refused(artgen("run", "tiny.toml", "--set", absurd), 7, "tiny: phase 1", " GB of memory", "one picture", "smaller")
    assert artgen("run", "tiny.toml").code == 0


def test_an_absurd_resolution_of_the_data_is_refused(artgen, here):
    refused(artgen("run", "tiny.toml", "--set", "data.digits.resolution=[4096, 4096]", "--set", "seed=1"), 7, " GB")


def _stands(run, images):
    return checkpoint.newest(run / "checkpoints").info["images"] == images


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("nan", 6, ["gradients that are not finite", "generator/trouble", "learning rate"]),
        ("memory", 7, ["out of memory", "batch"]),
        ("type", 5, ["loss 'trouble' of stranger 1.0", "TypeError", "stranger_code.py, line", "--debug"]),
    ],
)
def test_trouble_in_a_step_leaves_the_last_good_checkpoint(artgen, here, stranger, how, code, said):
    command = ["run", "trouble.toml", "--set", f"losses.trouble.how='{how}'"]
    refused(artgen(*command), code, *said)
    run = here / "runs" / "trouble"
    assert _stands(run, 320 if how == "nan" else 160)
    assert json.loads((run / "run.json").read_text())["sessions"][-1]["outcome"] == "failed"
    assert "Failed" in (run / "report.html").read_text()
    assert artgen("sample", run, "--count", 1).code == 0


def test_debug_shows_the_traceback_wherever_it_stands(here, monkeypatch, capsys):
    from artgen.cli.main import main

    for arguments in (["--debug", "run", "nowhere"], ["run", "nowhere", "--debug"]):
        monkeypatch.setattr("sys.argv", ["artgen", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert "Traceback" in capsys.readouterr().err


def test_what_is_no_plugins_fault_is_artgens(artgen, run, monkeypatch):
    def slip(*_):
        raise KeyError("slip")

    monkeypatch.setattr("artgen.run.opening.settle", slip)
    refused(artgen("sample", run), 1, "KeyError: 'slip'", "test_bad_input.py, line", "fault of artgen", "artgen doctor")


def test_more_samples_than_memory_holds(artgen, run, monkeypatch):
    monkeypatch.setattr("artgen.run.opening.make_pictures", lambda *_: torch.empty(10**15))
    refused(artgen("sample", run), 7, "16 pictures of 8x8 px", "out of memory", "fewer")


def test_a_recipe_of_the_run_that_was_garbled(artgen, run):
    (run / "recipe.toml").write_text("= garbled")
    refused(artgen("sample", run), 2, str(run / "recipe.toml"))


def test_a_stored_recipe_that_is_hostile_names_no_code(artgen, run):
    text = (run / "recipe.toml").read_text().replace("[generator.dense]", "[generator.'os:system']")
    (run / "recipe.toml").write_text(text)
    refused(artgen("sample", run), 2, "no plugin provides the generator 'os:system'")


def test_a_full_disk_of_sample_and_export_is_told(artgen, run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("artgen.files.replace", full)
    refused(artgen("sample", run), 7, "cannot be written", "No space left", "Free some space")
    refused(artgen("export", run, "--no-onnx"), 7, "cannot be written", "No space left")


def test_images_without_number_start_like_any_other(artgen):
    """10^12 pictures are a long run, not a fault; they cost nothing before they are shown."""
    done = artgen("run", "tiny.toml", "--dry-run", "--set", "phase=[{images=1_000_000_000_000,batch=8}]")
    assert done.code == 0
    assert load_recipe("tiny.toml", overrides=["phase=[{images=1_000_000_000_000,batch=8}]"]).phases[0].images == 10**12


def test_a_component_that_exits_has_failed(artgen, here, stranger):
    done = artgen("run", "trouble.toml", "--set", "losses.trouble.how='exit'", "--set", "losses.trouble.after=0")
    refused(done, 5, "loss 'trouble' of stranger 1.0", "SystemExit: 0")
    ended = artgen("run", "trouble.toml", "--set", "losses.trouble.how='exit'", "--set", "losses.trouble.after=20")
    refused(ended, 5, "loss 'trouble' of stranger 1.0", "SystemExit: 0")
    record = json.loads((here / "runs" / "trouble" / "run.json").read_text())
    assert record["sessions"][-1]["outcome"] == "failed"


def test_what_a_component_prints_in_a_step_mixes_with_no_result(artgen, stranger):
    chatty = ["--set", "losses.trouble.how='print'", "--set", "losses.trouble.after=0"]
    done = artgen("run", "trouble.toml", "--dry-run", "--json", *chatty)
    assert done.code == 0, done.err
    assert "scalars" in json.loads(done.out)
    assert "chatter" in done.err


def test_help_and_version_and_completion_are_no_faults(artgen, monkeypatch):
    assert artgen("--help").code == artgen("--version").code == artgen("run", "--help").code == 0
    monkeypatch.setattr("click.core._detect_program_name", lambda: "artgen")  # not that of pytest
    monkeypatch.setenv("_ARTGEN_COMPLETE", "zsh_source")
    done = artgen()
    assert (done.code, done.err) == (0, "")
    assert "compdef" in done.out
