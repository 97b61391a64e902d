"""The report: one page that opens anywhere, says what the run recorded, and is safe with whatever stands in it."""

from __future__ import annotations

import base64
import itertools
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

import artgen_report
from artgen.contract import checked_hooks
from artgen.run.record import RunFolder
from artgen_report import page, pictures
from artgen_report.curves import Line, bins, chart, limits, ticks
from artgen_report.history import charts
from artgen_report.words import count, duration, figure, finite, short, text

RECIPE = """title = "Portraits"
description = "Faces at 64 px."
seed = 7
[losses.non-saturating]
weight = 1.0
[metrics.swd]
[metrics.nearest]
[[phase]]
images = 600
batch = 8
[[phase]]
images = 400
batch = 8
"""
DESCRIPTION = {
    "device": "cpu",
    "torch": "2.13.0",
    "precision": "bf16",
    "seed": 7,
    "plugins": {"dcgan": "0.1.0", "report": "0.1.0"},
    "data": {"pictures": 936, "skipped": 2, "skipped_files": {"a.jpg": "truncated", "b.png": "not a picture"}},
}
HOSTILE = "</title></style><script>alert(1)</script><img src=x onerror='alert(2)'>\"'&\x00\x1b\ud800\u202e]]>"
XHTML = "{http://www.w3.org/1999/xhtml}"
MEBI = 1 << 20


def png(width=34, height=34, seed=0):
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode(".png", picture)[1].tobytes()


@pytest.fixture
def folder(tmp_path):
    with RunFolder.open(tmp_path / "run", RECIPE, "fingerprint", description=DESCRIPTION) as opened:
        opened.resume(0)
        yield opened


def trained(folder, previews=3, rows=20):
    """A run of 1,000 images: losses that fall, a figure that was measured twice."""
    for number in range(1, previews + 1):
        folder.store(f"samples/images-{1000 * number // previews:09d}.png", png(seed=number))
    for number in range(1, rows + 1):
        images = 1000 * number // rows
        row = {"images": images, "steps": images // 8, "phase": int(images > 600)}
        folder.record(row | {"critic/non-saturating": 1 / number, "generator/non-saturating": 2 / number})
    for images in (500, 1000):
        folder.record(
            {"images": images, "steps": images // 8, "phase": 0, "swd/swd_64": 12.5, "swd/swd": 0.02 * images}
        )


def parsed(document):
    """The page as a tree, after checks that hold for every report."""
    tree = ElementTree.fromstring(document)
    tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form", "use", "image", "a"}
    for element in tree.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert name not in ("href", "srcset", "style", "action", "background")
            assert name != "src" or re.fullmatch(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/]+=*", value)
    # The one address is the name of XHTML, which nobody fetches.
    assert re.findall(r"\w+://[^\"]*", document) == ["http://www.w3.org/1999/xhtml"]
    assert not re.search(r"url\(|@import|javascript:", document)
    assert document.encode()
    return tree


def said(tree):
    return " ".join("".join(tree.itertext()).split())


def headings(tree):
    return ["".join(element.itertext()) for element in tree.iter(f"{XHTML}h2")]


def points(drawn, kind="line"):
    """The coordinates of each curve of a chart."""
    found = re.findall(rf'class="{kind} c\d" points="([^"]*)"', drawn)
    return [[tuple(map(float, place.split(","))) for place in one.split()] for one in found]


def test_the_plugin_listens_to_the_run_and_loads_nothing_heavy():
    assert checked_hooks(artgen_report) == ("artgen_previewed", "artgen_run_ended", "artgen_run_started")
    heavy = "import sys, artgen_report; print({'torch', 'numpy', 'cv2', 'PIL'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_a_run_that_has_just_begun_has_a_report(folder):
    artgen_report.artgen_run_started(folder)
    tree = parsed((folder.path / "report.html").read_text())
    assert "Training" in said(tree)
    assert "0 of 1,000 images" in said(tree)
    assert "yet to come" in said(tree)
    assert headings(tree) == ["Pictures", "Sessions", "Made with", "Recipe"]


GROWING = RECIPE.replace("images = 600", "images = 660\nresolution = 16").replace(
    "images = 400", "images = 400\nresolution = [24, 32]"
)


def test_of_a_run_that_grows_each_sheet_tells_its_size(tmp_path):
    with RunFolder.open(tmp_path / "run", GROWING, "fingerprint", description=DESCRIPTION) as folder:
        trained(folder)
        tree = parsed(page.build(folder))
    captions = [element.text for element in tree.iter(f"{XHTML}figcaption")]
    assert captions == [
        "After 333 images at 16x16 px",
        "After 666 images at 24x32 px",
        "After 1,000 images at 24x32 px",
    ]


def test_pairs_are_shown_with_what_their_figures_mean(tmp_path):
    recipe = RECIPE.replace("[metrics.nearest]", "[metrics.likeness]\nuse = 'paired'")
    with RunFolder.open(tmp_path / "run", recipe, "fingerprint", description=DESCRIPTION) as folder:
        trained(folder)
        folder.store("samples/paired.png", png())
        folder.store("figures.json", b'{"likeness/l1": 0.03, "likeness/psnr": 26.5, "likeness/source_l1": 0.05}')
        tree = parsed(page.build(folder))
    assert "Source, made and true picture" in said(tree)
    assert "below that of the source" in said(tree)
    assert "higher is better" in said(tree)


@pytest.mark.parametrize("phase", ["3", "[3]", "[{resolution = [1, 2]}, {images = 'many', resolution = HOSTILE}]"])
def test_a_schedule_that_makes_no_sense_stops_no_report(tmp_path, phase):
    recipe = RECIPE[: RECIPE.index("[losses")] + "phase = " + phase.replace("HOSTILE", '"<script>"')
    with RunFolder.open(tmp_path / "run", recipe, "fingerprint", description=DESCRIPTION) as folder:
        trained(folder)
        assert "After 333 images" in said(parsed(page.build(folder)))


def test_a_run_in_progress_shows_its_newest_sheet_and_its_figures_so_far(folder):
    trained(folder)
    artgen_report.artgen_previewed(folder)
    tree = parsed((folder.path / "report.html").read_text())
    assert headings(tree) == ["Figures so far", "Curves", "Sessions", "Made with", "Recipe"]
    choices = list(tree.iter(f"{XHTML}input"))
    assert [choice.get("checked") for choice in choices] == [None, None, "checked"]
    captions = [element.text for element in tree.iter(f"{XHTML}figcaption")]
    assert captions == ["After 333 images", "After 666 images", "After 1,000 images"]
    newest = tree.findall(f".//{XHTML}figure/{XHTML}img")[2].get("src")
    assert base64.b64decode(newest.partition(",")[2]).startswith(b"\x89PNG")
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(newest.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
    sheet = cv2.imread(str(folder.path / "samples" / "images-000001000.png"))
    assert np.array_equal(pixels, sheet)


def test_a_finished_run_says_all_there_is_to_say(folder):
    trained(folder)
    folder.store("samples/final.png", png(seed=9))
    folder.store("samples/nearest.png", png(seed=10))
    folder.store("figures.json", json.dumps({"swd/swd": 7.25, "nearest/copied_share": 0.04}).encode())
    folder.finish(1000, "finished")
    artgen_report.artgen_run_ended(folder)
    tree = parsed((folder.path / "report.html").read_text())
    words = said(tree)
    assert tree.find(f".//{XHTML}h1").text == tree.find(f".//{XHTML}title").text == "Portraits"
    assert "Faces at 64 px." in words
    assert "Finished" in words
    assert "1,000 images" in words
    assert "At the end" in words
    figures = tree.findall(f".//{XHTML}table[@class='figures']/{XHTML}tr")
    rows = ["|".join("".join(cell.itertext()) for cell in row) for row in figures]
    assert len(rows) == 2
    assert re.match(r"swd\|7.25\|Sliced Wasserstein distance.* lower is better", rows[0])
    assert re.match(r"nearest: copied share\|0.04\|Share of made pictures.* 0.05 or less is good", rows[1])
    assert "nearest pairs come first" in words
    for fact in ("dcgan 0.1.0", "2.13.0", "bf16", "936", "a.jpg: truncated", "0 to 1,000"):
        assert fact in words
    assert tree.find(f".//{XHTML}details//{XHTML}code").text == RECIPE


def test_hostile_text_stays_text(tmp_path):
    recipe = f"title = {json.dumps(HOSTILE[:-5])}\n[metrics.{json.dumps(HOSTILE[:40])}]\n# {HOSTILE[:60]}\n"
    description = {
        HOSTILE: HOSTILE,
        "device": HOSTILE,
        "plugins": {HOSTILE: HOSTILE},
        "data": {"skipped_files": {HOSTILE: HOSTILE}, HOSTILE: [HOSTILE]},
    }
    place = tmp_path / "<b onclick='x'>&\""
    with RunFolder.open(place, recipe, "fingerprint", description=description) as folder:
        for images in (1, 2, 3):
            folder.record({"images": images, HOSTILE: images, f"{HOSTILE[:40]}/{HOSTILE}": 1.0 * images})
        folder.store("samples/images-000000001.png", png())
        folder.store("samples/images-<script>.png", png())
        folder.store("figures.json", json.dumps({HOSTILE: 1.0, f"x/{HOSTILE}": HOSTILE}).encode())
        folder.info["sessions"][-1].update(outcome=HOSTILE, started_at=HOSTILE, changed={HOSTILE: HOSTILE})
        page.write(folder)
    document = (place / "report.html").read_text()
    tree = parsed(document)
    assert "<script" not in document
    assert "onerror='" not in document
    assert said(tree).count("<script>alert(1)</script>") >= 8
    assert tree.find(f".//{XHTML}h1").text.startswith("</title></style><script>")
    seen = []
    parser = HTMLParser()  # reads as a browser does, not as XML
    parser.handle_starttag = lambda tag, attributes: seen.append((tag, dict(attributes)))
    parser.feed(document)
    assert {"main", "img", "svg", "details"} <= {tag for tag, _ in seen}
    assert not {"script", "iframe"} & {tag for tag, _ in seen}
    assert not any(name.startswith("on") for _, attributes in seen for name in attributes)
    assert all(attributes["src"].startswith("data:image/") for tag, attributes in seen if tag == "img")


@pytest.mark.parametrize("raw", ["\0", "\x1b[31m", "\ud800", "\u202e", "\x7f", "\ufffe"])
def test_characters_that_no_document_may_hold_are_replaced(raw):
    assert text(raw)[0] == "\ufffd"
    ElementTree.fromstring(f"<p>{text(raw)}</p>".encode())


def test_text_is_cut_before_it_is_escaped():
    assert text("<" * 500, longest=3) == "&lt;&lt;…"


def test_values_that_are_not_finite_are_borne(folder):
    folder.record({"images": 10, "critic/non-saturating": math.nan, "swd/swd": 3.0})
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write('{"images": 20, "critic/non-saturating": 1e999, "swd/swd": null}\n')
        file.write('{"images": "many", "critic/non-saturating": 1}\n{"images": true}\n{}\n[]\ntorn\n')
        file.write(
            f'{{"images": 30, "critic/non-saturating": 1{"0" * 400}, "phase": "x", "other": [1], "flag": true}}\n'
        )
        file.write('{"images": 40, "critic/non-saturating": 1.5}\n{"images": 50, "critic/non-saturating": 2.5}\n')
    tree = parsed(page.build(folder))
    assert "not finite" in said(tree)
    assert "50 of 1,000 images" in said(tree)
    curves = tree.find(f".//{XHTML}section[@class='curves']")
    assert [element.text for element in curves.iter(f"{XHTML}h3")] == ["Loss: non-saturating (critic)"]
    assert len(list(curves.iter(f"{XHTML}circle"))) == 2


@pytest.mark.parametrize("damage", ["gone", "empty", "text", "header", "folder"])
def test_damaged_files_cost_only_themselves(folder, damage):
    trained(folder)
    newest = folder.path / "samples" / "images-000001000.png"
    newest.unlink()
    match damage:
        case "folder":
            newest.mkdir()
        case "empty" | "text" | "header":
            newest.write_bytes({"empty": b"", "text": b"no picture", "header": png()[:60]}[damage])
    (folder.path / "figures.json").write_bytes(b"{torn")
    (folder.path / "recipe.toml").write_bytes(b"= \xff torn")
    tree = parsed(page.build(folder))
    assert [one.get("checked") for one in tree.iter(f"{XHTML}input")] == [None, "checked"]
    assert tree.find(f".//{XHTML}h1").text == "run"
    assert "Curves" in headings(tree)
    (folder.path / "recipe.toml").unlink()
    assert "Recipe" not in headings(parsed(page.build(folder)))


def test_strange_values_in_run_json_are_shown_as_they_stand(folder):
    folder.info.update(plugins=["a"], data="none", gpu_memory_bytes=150 * 2**30)
    folder.info["sessions"] += [
        {"outcome": ["odd"], "wall_seconds": "long", "started_at": 5, "from_images": None, "images": {}},
        {"outcome": "finished", "wall_seconds": 0, "started_at": "0001-01-01T00:00:00+14:00", "from_images": 0},
        {},
    ]
    words = said(parsed(page.build(folder)))
    assert "150 GiB" in words
    assert "['odd']" in words


def test_a_long_run_has_a_bounded_report(folder):
    trained(folder, previews=500, rows=1)
    noise = png(900, 900)
    for name in ("images-000000999", "final", "nearest"):
        folder.store(f"samples/{name}.png", noise)
    row = '{"images": %d, "steps": %d, "phase": 0, "critic/non-saturating": %.4f, "generator/non-saturating": 2.0}\n'
    with (folder.path / "metrics.jsonl").open("w") as file:
        file.writelines(row % (number, number, math.sin(number / 1e4)) for number in range(200_000))
    (folder.path / "recipe.toml").write_text(RECIPE + "# <&>\n" * 100_000)
    document = page.build(folder)
    assert len(document.encode()) < 8 * MEBI
    tree = parsed(document)
    assert 12 <= len(list(tree.iter(f"{XHTML}input"))) <= page.MOST_PREVIEWS
    assert all(len(line) <= 400 for line in points(document))


def test_pictures_of_noise_stay_within_their_bytes(tmp_path):
    file = tmp_path / "noise.png"
    file.write_bytes(png(1500, 900))
    for longest_px, limit_bytes in ((1600, 200_000), (760, 30_000), (160, 3000)):
        address = pictures.inline(file, longest_px, limit_bytes).address
        assert len(base64.b64decode(address.partition(",")[2])) <= limit_bytes


def test_all_budgets_together_stay_under_8_megabytes():
    older, thumbs = page.MOST_PREVIEWS * page._OLDER[1], page.MOST_PREVIEWS * page._THUMB[1]
    drawn = (page._NEWEST[1] + older + thumbs + page._SHEET[1]) * 4 / 3
    rows = [{"images": i, **{f"{c}/{k}": i * c * k % 7 for c in range(9) for k in range(30)}} for i in range(400)]
    written = len(charts(rows, (), ())) + 6 * page._RECIPE_CHARACTERS
    assert drawn + written < 8 * MEBI


@pytest.mark.parametrize("total", [1, 2, 23, 24, 25, 26, 47, 48, 49, 500, 12_345])
def test_previews_are_chosen_evenly_with_the_first_and_the_newest(total):
    chosen = page._chosen(list(range(total)))
    assert chosen[0] == 0
    assert chosen[-1] == total - 1
    assert min(total, page.MOST_PREVIEWS // 2) <= len(chosen) <= page.MOST_PREVIEWS
    assert len(set(np.diff(chosen[:-1]))) <= 1


def test_the_choice_seldom_changes_so_that_pictures_are_decoded_once():
    chosen = [set(page._chosen(list(range(total)))[:-1]) for total in range(1, 200)]
    assert sum(not before <= after for before, after in itertools.pairwise(chosen)) == 4


def test_a_report_is_not_rewritten_before_it_has_paid_for_itself(folder, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(page.time, "monotonic", lambda: now[0])

    def build(_):
        now[0] += 2.0
        written.append(now[0])
        return ""

    written = []
    monkeypatch.setattr(page, "build", build)
    for later in (0.0, 30.0, 20.0, 1.0):  # 2 s of work at 5 % pay for 40 s
        now[0] += later
        page.refresh(folder)
    assert written == [102.0, 154.0]
    page.write(folder)  # the end does not wait
    assert len(written) == 3


@pytest.mark.parametrize(("total", "expected"), [(1, 1), (2, 2), (120, 120), (121, 120), (1200, 120), (99_999, 120)])
def test_bins_keep_the_mean_and_the_extremes(total, expected):
    rng = np.random.default_rng(total)
    made = [(float(x), float(y)) for x, y in enumerate(rng.normal(size=total))]
    binned = bins(made)
    assert len(binned) == expected
    values = [value for _, value in made]
    assert min(one.low for one in binned) == min(values)
    assert max(one.high for one in binned) == max(values)
    assert all(one.low <= one.mean <= one.high for one in binned)
    assert [one.x for one in binned] == sorted(one.x for one in binned)
    if total % expected == 0:
        assert np.mean([one.mean for one in binned]) == pytest.approx(np.mean(values))


def test_a_chart_draws_every_point_of_a_short_curve_where_it_belongs():
    drawn = chart("loss", [Line("a", [(0.0, 0.0), (50.0, 1.0), (100.0, 4.0)])])
    ((first, middle, last),) = points(drawn)
    assert middle[0] == pytest.approx((first[0] + last[0]) / 2)
    assert first[1] > middle[1] > last[1]  # SVG counts downwards
    assert (first[1] - middle[1]) / (first[1] - last[1]) == pytest.approx(1 / 4, abs=0.01)
    assert drawn.count("<circle") == 3
    assert points(drawn, "band") == []
    assert "between 0 and 4" in drawn


def test_a_chart_of_a_long_curve_has_a_band_of_extremes():
    line = Line("a", [(float(x), math.sin(x)) for x in range(5000)])
    drawn = chart("loss", [line])
    ((curve,), (band,)) = points(drawn), points(drawn, "band")
    assert len(curve) == 120
    assert len(band) == 240
    assert min(y for _, y in band) < min(y for _, y in curve)
    assert "<circle" not in drawn


def test_charts_group_what_belongs_together():
    names = "critic/hinge generator/hinge critic/real_logit critic/fake_logit critic/gradient_norm "
    names += "generator/gradient_norm augment/probability swd/swd_16 swd/swd refused_updates once"
    rows = [{"images": x, "steps": x, "phase": x // 2, **dict.fromkeys(names.split()[:-1], x)} for x in range(4)]
    drawn = charts([*rows, {"images": 9, "once": 1}], ["swd"], ["hinge"])
    titles = re.findall("<h3>(.*?)</h3>", drawn)
    assert titles == ["swd", "Loss: hinge", "logit", "gradient norm", "probability (augment)", "refused updates"]
    assert re.findall(r"</i><span>(.*?)</span><b>", drawn)[:6] == [
        "swd 16", "swd", "critic", "generator", "critic, real", "critic, fake"
    ]  # fmt: skip
    assert drawn.count('class="mark"') == len(titles)


def test_a_spike_does_not_press_the_curve_flat():
    calm = [math.sin(x) for x in range(500)]
    low, high = limits([*calm, 1e9])
    assert -1.5 < low < -1
    assert 1 < high < 5
    assert limits([1.0, 2.0, 9.0]) == pytest.approx((1 - 0.2, 9 + 0.2))


@pytest.mark.parametrize(
    "values",
    [[0.0], [5.0], [1e99, -1e99], [1e-320, 2e-320], [1e15, 1e15 + 1], [-3.0, -3.0], [1e-9, 1.0], [7e99] * 3],
)
@pytest.mark.parametrize("places", [[0.0], [1e99], [3.0, 4.0], [1e12, 1e12 + 1]])
def test_any_finite_curve_can_be_drawn(values, places):
    line = [(place, value) for place in places for value in values]
    drawn = chart("extremes", [Line("", line)])
    ElementTree.fromstring(drawn)
    assert "nan" not in drawn
    assert "inf" not in drawn.replace("infinity", "")
    for x, y in points(drawn)[0]:
        assert -1 <= x <= 480
        assert abs(y) <= 9 * 250


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 7.9), (1e-7, 3e-7), (0, 120_000), (-1e99, 1e99), (5, 5.001)])
def test_ticks_are_round_and_inside(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 8
    slack = (high - low) * 1e-6
    assert all(low - slack <= tick <= high + slack for tick in found)
    step = found[1] - found[0]
    leading = step / 10 ** math.floor(math.log10(step * (1 + 1e-6)))
    assert min(abs(leading - nice) for nice in (1, 2, 2.5, 5, 10)) < 1e-3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, None),
        ("3", None),
        (None, None),
        (math.nan, None),
        (math.inf, None),
        (10**400, None),
        (3, 3.0),
        (0.5, 0.5),
    ],
)
def test_only_finite_numbers_are_numbers(value, expected):
    assert finite(value) == expected


def test_numbers_and_times_are_written_for_people():
    assert [figure(x) for x in (0.0, 0.0123456, 12.3456, 12345.6, 1e-6)] == [
        "0", "0.01235", "12.35", "12,346", "1.000e-06"
    ]  # fmt: skip
    assert [short(x) for x in (0, 0.25, 40_000, 1.2e6, 2e9)] == ["0", "0.25", "40k", "1.2M", "2G"]
    assert [duration(x) for x in (0.25, 42, 61, 3600, 11_520, 200_000)] == [
        "0.2 s", "42 s", "1 min 1 s", "1 h", "3 h 12 min", "2 d 7 h"
    ]  # fmt: skip
    assert [count(1, "image"), count(40_000, "image")] == ["1 image", "40,000 images"]
