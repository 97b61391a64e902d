"""`artgen rerun`: a run repeated from its record, or a list of what differs; and what the record holds."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from artgen.plugins import load_plugins, use_files
from artgen.run import checkpoint
from tests.cli.conftest import PAINTER, content, refused

PLUGIN = '''
"""One loss."""
from artgen import Component, LossOptions, hookimpl

class Shy:
    def __init__(self, options): pass
    def critic(self, outputs): return (1 - outputs.real_logits).square().mean() + outputs.fake_logits.square().mean()
    def generator(self, outputs): return (1 - outputs.fake_logits).square().mean()

@hookimpl
def artgen_losses():
    needs = {"generator": ("fake_logits",), "critic": ("real_logits", "fake_logits")}
    return [Component(kind="loss", name="shy", summary="Shy", options=LossOptions, factory="shy:Shy", needs=needs)]
'''


def record(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())


def rewrite(run: Path, **changed) -> None:
    """Change the record, as if the run had been made with something else."""
    (run / "run.json").write_text(json.dumps(record(run) | changed))


def last(run: Path) -> dict[str, str]:
    return checkpoint.digests(checkpoint.committed(run / "checkpoints")[0])


def test_a_repetition_ends_in_the_same_bytes_and_says_so(artgen, run, here):
    before = content(run)
    done = artgen("rerun", run)
    assert done.code == 0
    repeated = here / "runs" / "tiny-rerun"
    assert f"the same last checkpoint as {run}" in done.out
    assert done.out.splitlines()[-1] == str(repeated / "report.html")
    assert "needs about" in done.err
    assert last(repeated) == last(run)
    assert (repeated / "samples" / "final.png").read_bytes() == (run / "samples" / "final.png").read_bytes()
    assert (repeated / "recipe.toml").read_bytes() == (run / "recipe.toml").read_bytes()
    assert record(repeated)["recipe"] == "tiny"
    assert record(repeated)["repeats"] == str(run)
    assert content(run) == before
    assert artgen("rerun", run).code == 0  # never over another one
    assert last(here / "runs" / "tiny-rerun-2") == last(run)


def test_a_repetition_that_was_stopped_goes_on(artgen, run, here):
    assert artgen("rerun", run).code == 0
    repeated = here / "runs" / "tiny-rerun"
    (repeated / "figures.json").unlink()
    shutil.rmtree(checkpoint.committed(repeated / "checkpoints")[0])
    assert "the same last checkpoint" in artgen("rerun", run).out
    assert not (here / "runs" / "tiny-rerun-2").exists()


def test_the_folder_can_be_chosen(artgen, run, here):
    (here / "taken").mkdir()
    (here / "taken" / "mine").write_text("mine")
    refused(artgen("rerun", run, "--out", "taken"), 2, "not empty")
    assert artgen("rerun", run, "--out", "chosen").code == 0
    assert last(here / "chosen") == last(run)
    (here / "runs" / "tiny-rerun").write_text("a file of somebody")
    assert artgen("rerun", run).code == 0
    assert (here / "runs" / "tiny-rerun-2" / "report.html").is_file()


def test_no_run_no_repetition(artgen, here):
    refused(artgen("rerun", here), 4, "there is no run here")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"artgen": "0.0.1"}, "artgen was 0.0.1 and is now "),
        ({"torch": "1.0"}, "torch was 1.0 and is now "),
        ({"python": "2.7"}, "python was 2.7 and is now "),
        ({"data": {"fingerprint": "others", "pictures": 5}}, "data.digits was 5 pictures, others and is now 1797"),
        ({"fingerprint": "another"}, "recipe.toml was another and is now "),
    ],
)
def test_what_differs_is_listed_and_refused_unless_forced(artgen, run, here, changed, said):
    rewrite(run, **changed)
    refused(artgen("rerun", run), 2, str(run), "cannot be repeated as it was: 1 thing", said, "--force")
    assert not (here / "runs" / "tiny-rerun").exists()
    forced = artgen("rerun", run, "--force")
    assert forced.code == 0
    assert said in forced.err
    assert last(here / "runs" / "tiny-rerun") == last(run)


def test_all_that_differs_is_listed_at_once_and_as_json(artgen, run, here):
    plugins = record(run)["plugins"]
    plugins["dense"]["version"] = "9.9"
    plugins["gone"] = plugins["dcgan"] | {"used": False}  # which the recipe never needed
    rewrite(run, torch="1.0", threads=99, plugins=plugins)
    done = artgen("rerun", run, "--dry-run", "--json")
    assert done.code == 2
    assert [change["what"] for change in json.loads(done.out)] == ["torch", "plugin 'dense'", "threads"]
    assert json.loads(done.out)[1]["then"].startswith("artgen 9.9 ")
    refused(
        artgen("rerun", run),
        2,
        "2 thing",
        "torch was 1.0",
        "plugin 'dense' was artgen 9.9 (code ",
        "and is now artgen ",
    )
    assert [path.name for path in (here / "runs").iterdir()] == ["tiny"]


def test_other_circumstances_are_told_and_no_reason_to_refuse(artgen, run):
    rewrite(run, threads=99, processes=8)
    done = artgen("rerun", run, "--dry-run")
    assert done.code == 0
    assert "threads was 99 and is now 1: the repetition need not end in the same bits" in done.err
    assert "processes was 8 and is now 1" in done.err
    assert "can be repeated on cpu" in done.out


def test_json_wants_a_dry_run(artgen, run):
    assert artgen("rerun", run, "--json").code == 2
    assert artgen("run", "tiny.toml", "--json").code == 2


def test_a_run_folder_of_the_first_days_can_be_repeated_and_resumed(artgen, run, here):
    info = record(run)
    old = {name: entry["version"] for name, entry in info["plugins"].items()}
    for key in ("command", "recipe_given", "pieces"):
        del info[key]
    (run / "run.json").write_text(json.dumps(info | {"plugins": old}))
    assert "the same last checkpoint" in artgen("rerun", run).out
    (run / "figures.json").unlink()
    shutil.rmtree(checkpoint.committed(run / "checkpoints")[0])
    assert "need not end in the bits" not in artgen("run", "tiny.toml").err
    assert last(run) == last(here / "runs" / "tiny-rerun")
    rewrite(run, plugins=old | {"dense": "0.0.1"})
    refused(artgen("rerun", run), 2, "plugin 'dense' was 0.0.1 and is now artgen ")


@pytest.mark.parametrize("plugins", [None, [], {"dense": None}, {"dense": {"file": 3}}, {"dense": {"version": {}}}])
def test_a_garbled_list_of_plugins_costs_nothing_but_itself(artgen, run, plugins):
    rewrite(run, plugins=plugins)
    assert artgen("rerun", run, "--dry-run").code in (0, 2)


def test_a_plugin_that_is_not_installed_any_more_is_named(artgen, here, stranger):
    (here / "painter.toml").write_text(PAINTER)
    assert artgen("run", "painter.toml").code == 0
    stranger()
    refused(
        artgen("rerun", "runs/painter"),
        2,
        "plugin 'stranger' was stranger 1.0 (code ",
        "and is now not there",
        "Install",
    )


@pytest.fixture
def shy(here):
    """A run made with a plugin that is a single file."""
    (here / "shy.py").write_text(PLUGIN)
    text = (here / "tiny.toml").read_text()
    (here / "shy.toml").write_text(text.replace("non-saturating", "shy"))
    yield here / "shy.py"
    use_files(())
    load_plugins.cache_clear()


def test_a_single_file_is_recorded_with_its_hash(artgen, here, shy):
    assert artgen("run", "shy.toml", "--plugin", "shy.py").code == 0
    plugins = record(here / "runs" / "shy")["plugins"]
    digest = hashlib.sha256(PLUGIN.encode()).hexdigest()
    assert plugins["shy"]["file"] == {"path": str(shy), "sha256": digest}
    assert plugins["shy"]["origin"] == "--plugin"
    assert "file" not in plugins["dense"]

    refused(artgen("rerun", "runs/shy"), 2, f"plugin 'shy' was {shy} (SHA-256 {digest[:16]}", "not there", "--plugin")
    assert "the same last checkpoint" in artgen("rerun", "runs/shy", "--plugin", "shy.py").out
    shy.write_text(PLUGIN + "\n")
    load_plugins.cache_clear()
    refused(
        artgen("rerun", "runs/shy", "--plugin", "shy.py"), 2, "1 thing", "plugin 'shy' was", "and is now", "--force"
    )


def test_the_record_says_what_was_asked_for(artgen, here):
    arguments = ["run", "tiny.toml", "--set", "phase=[{images=16,batch=8}]", "--device", "cpu"]
    assert artgen(*arguments).code == 0
    info = record(here / "runs" / "tiny")
    assert info["command"] == ["artgen", *arguments]
    assert info["recipe_given"] == {"recipe": "tiny.toml", "set": ["phase=[{images=16,batch=8}]"], "data": None}
    assert info["pieces"] == [1]
    assert info["plugins"]["dense"].keys() == {"distribution", "version", "api", "origin", "used", "code"}
    assert {name for name, entry in info["plugins"].items() if entry["used"]} == {
        "adversarial",
        "datasets",
        "dense",
        "metrics",
    }


def test_a_run_that_goes_on_with_another_plugin_says_which(artgen, run, caplog):
    plugins = record(run)["plugins"]
    plugins["dense"]["version"] = "0.0.1"
    rewrite(run, plugins=plugins)
    (run / "figures.json").unlink()
    assert artgen("run", "tiny.toml").code == 0
    assert "plugin 'dense' was artgen 0.0.1 (code " in caplog.text
    assert "{" not in caplog.text


def test_code_that_was_edited_without_a_new_version_is_noticed(artgen, here, run):
    plugins = record(run)["plugins"]
    assert len(plugins["dense"]["code"]) == 64
    plugins["dense"]["code"] = "0" * 64
    rewrite(run, plugins=plugins)
    refused(artgen("rerun", run), 2, "1 thing", "plugin 'dense' was artgen", "(code 00000000...)")


def test_a_dry_run_tells_what_is_needed(artgen, here):
    done = artgen("run", "tiny.toml", "--dry-run")
    assert done.code == 0
    *_, phase, needs = done.out.splitlines()
    assert phase.startswith("phase 1, 8x8 px, batch 8: ")
    assert needs.startswith("needs about ")
    told = json.loads(artgen("run", "tiny.toml", "--dry-run", "--json").out)
    assert told["phases"][0]["images"] == 400
    assert told["memory_bytes"] > 0
    assert "critic/non-saturating" in told["scalars"]
