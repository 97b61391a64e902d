"""The contract tests of artgen, and what only this package can know."""

from types import SimpleNamespace

from artgen.testing import PluginContract

import artgen_diary


class TestPlugin(PluginContract):
    plugin = "diary"


def test_a_diary_is_headed_once_and_shows_the_sheets(tmp_path):
    folder = SimpleNamespace(path=tmp_path)
    artgen_diary.artgen_run_started(folder)
    artgen_diary.artgen_previewed(folder, tmp_path / "samples" / "final.png", 1200)
    artgen_diary.artgen_run_started(folder)
    written = (tmp_path / artgen_diary.FILE).read_text().split("\n\n")
    assert written == [f"# {tmp_path.name}", "![1,200 pictures shown](samples/final.png)", "And on.", ""]
