"""Films in recipes, and files that hold nothing but films."""

from __future__ import annotations

import json
import tomllib
from fractions import Fraction

import pytest
from click.testing import CliRunner

from artgen.cli.check import check
from artgen.errors import RecipeError
from artgen.recipe import load_films, load_recipe
from artgen.videos import OutputOptions, VideoOptions, file_name

FILM = '[videos.walk]\nrun = "runs/a"\n'


@pytest.fixture
def written(tmp_path):
    def write(text, name="films.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def faults(path):
    with pytest.raises(RecipeError) as caught:
        load_films(path)
    return [(fault.line, ".".join(map(str, fault.key)), fault.cause) for fault in caught.value.faults]


def test_a_table_alone_is_a_film(written, tmp_path):
    films = load_films(
        written('title = "Two"\n' + FILM + '[videos.other]\nrun = "/b"\npath = "slerp"\n[features.wavelets]\n')
    )
    assert (films.title, films.features.label) == ("Two", "wavelets")
    walk, other = films.videos
    assert (walk.label, walk.use, walk.component.name) == ("walk", "spline", "spline")
    assert (other.component.name, other.options.run) == ("slerp", "/b")
    assert walk.options.run == str(tmp_path / "runs/a")  # from where the file is
    assert (walk.options.frames, walk.options.seconds, walk.options.frames_per_second) == (360, 12, 30)


def test_what_is_filled_reads_back(written):
    films = load_films(
        written(FILM + 'keyframes = [{ seed = 3 }, { seed = 4, seconds = 2 }]\noutputs = ["gif", { format = "av1" }]\n')
    )
    again = load_films(written(films.to_toml(), "again.toml"))
    assert again.videos == films.videos
    assert tomllib.loads(films.to_toml())["videos"]["walk"]["path"] == "spline"


def test_a_recipe_has_films_of_its_own_run(written):
    recipe = load_recipe(written('extends = "digits"\n[videos.walk]\nseconds = 1.0\n'))
    assert [film.label for film in recipe.films.videos] == ["walk"]
    assert recipe.videos[0].options.run == ""
    again = load_recipe(written(recipe.to_toml(), "again.toml"))
    assert again == recipe
    assert recipe.fingerprint == load_recipe("digits").fingerprint  # training does not care


def test_a_file_of_films_is_no_recipe(written):
    with pytest.raises(RecipeError, match="artgen render"):
        load_recipe(written(FILM))


@pytest.mark.parametrize(
    ("text", "line", "key", "cause"),
    [
        (FILM + "sedonds = 3\n", 3, "videos.walk.sedonds", "unknown key"),
        (FILM + 'path = "splin"\n', 3, "videos.walk.path", "no plugin provides"),
        (FILM + "path = 3\n", 3, "videos.walk.path", "name of a path"),
        (FILM + "fps = 0\n", 3, "videos.walk.fps", "no frame rate"),
        (FILM + 'fps = "1e99999999"\n', 3, "videos.walk.fps", "no frame rate"),
        (FILM + 'fps = "1/0"\n', 3, "videos.walk.fps", "no frame rate"),
        (FILM + "keyframes = [{ seed = 1, file = 'x' }]\n", 3, "videos.walk.keyframes", "not both"),
        (FILM + "keyframes = [{ seconds = 1.0 }]\n", 3, "videos.walk.keyframes", "a `seed` or a `file`"),
        (FILM + 'outputs = ["mp4", "mp4"]\n', 1, "videos.walk", "two outputs"),
        (FILM + "truncation = [1.0, -1.0]\n", 3, "videos.walk", "truncation"),
        (FILM + "seconds = 86400\nfps = 1000\n", 1, "videos.walk", "frames"),
        (FILM + "[generater.dcgan]\n", 3, "generater", "unknown key"),
        ("[videos]\nwalk = 3\n", 2, "videos.walk", "expected a table"),
        ('[videos."a b"]\nrun = "x"\n', 1, "videos.a b", "letters"),
    ],
)
def test_a_fault_is_told_where_it_is(written, text, line, key, cause):
    found = faults(written(text))
    assert any(at == line and where.startswith(key) and cause in what for at, where, what in found), found


def test_check_looks_at_films(written):
    path = written(FILM + "copies = 3\n")
    done = CliRunner().invoke(check, [str(path), "--device", "cpu"])
    assert "3 film(s) of 36 seconds" in done.output
    told = CliRunner().invoke(check, [str(path), "--device", "cpu", "--filled", "--json"])
    assert json.loads(told.output)["videos"]["walk"]["copies"] == 3
    origin = CliRunner().invoke(check, [str(path), "--device", "cpu", "--origin"])
    assert "copies = 3" in origin.output


@pytest.mark.parametrize(
    ("fps", "rate"),
    [(30, Fraction(30)), (29.97, Fraction(30000, 1001)), (23.976, Fraction(24000, 1001)), (12.5, Fraction(25, 2)),
     ("24000/1001", Fraction(24000, 1001))],
)  # fmt: skip
def test_rates_are_exact(fps, rate):
    assert VideoOptions(fps=fps).frames_per_second == rate


def test_names_of_files():
    assert file_name("walk", "hevc") == "walk-hevc.mp4"
    assert file_name("walk", OutputOptions(format="mp4", label="small")) == "walk-small.mp4"
    assert file_name("walk", "png-16") == "walk-png16"
