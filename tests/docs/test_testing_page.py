"""The page on the kit: its files are written down and run, and its tables are the kit's own words."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from artgen import testing
from tests.docs.pages import DOCS, blocks

PAGE = DOCS / "testing.md"
FILES = blocks(PAGE, "python")
SUITES = [getattr(testing, name) for name in testing.__all__]


def test_every_file_of_the_page_runs(tmp_path):
    for block in FILES:
        (tmp_path / block.file).write_text(block.text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path, env=os.environ | {"PYTEST_ADDOPTS": ""}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert " failed" not in done.stdout
    collected = {block.file for block in FILES if block.file.startswith("test_")}
    assert len(collected) == 3


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.__name__)
def test_every_check_is_told_in_its_own_words(suite):
    rows = PAGE.read_text().splitlines()
    for name in [name for name in dir(suite) if name.startswith("test_")]:
        promise = " ".join(getattr(suite, name).__doc__.split())
        assert f"| `{name.removeprefix('test_')}` | {promise} |" in rows


def test_no_check_is_told_that_is_not_there():
    told = re.findall(r"^\| `(\w+)` \| (?!what)", PAGE.read_text().partition("## What is checked")[2], re.MULTILINE)
    there = {name.removeprefix("test_") for suite in SUITES for name in dir(suite) if name.startswith("test_")}
    assert set(told) == there


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.__name__)
def test_every_attribute_is_told(suite):
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{suite.__name__}` |")]
    known = {"kind", "component", "options", "plugins"}
    attributes = {name for base in suite.__mro__ for name in vars(base).get("__annotations__", {})} - known
    assert attributes <= set(re.findall(r"`(\w+)`", row))
