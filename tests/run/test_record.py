"""Run folders: one owner, no run overwritten, curves without doubles."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from faulty_disk import FaultyDisk, Killed

from artgen import files
from artgen.errors import CheckpointError, RecipeError, ResourceError
from artgen.run import lock
from artgen.run.record import RunFolder

ROOT = Path(__file__).resolve().parents[2]
RECIPE = """
seed = 1
[generator.dcgan]
width = 32
[[phase]]
images = 1000
batch = 8
"""
OTHER = (
    RECIPE.replace("width = 32", "width = 64").replace("batch = 8", "batch = 8\nfade = 0.5").replace("seed = 1\n", "")
)
DESCRIPTION = {"artgen": "0.1", "torch": "2.13", "device": "cpu", "threads": 2, "command": ["artgen", "run"], "seed": 1}


def begin(path, recipe=RECIPE, *, fresh=False, description=DESCRIPTION):
    return RunFolder.open(path, recipe, fingerprint=str(hash(recipe)), fresh=fresh, description=description)


@pytest.fixture
def run(tmp_path):
    """The folder of a run that has ended."""
    with begin(tmp_path / "runs" / "rembrandt") as folder:
        folder.resume(0)
        folder.record({"images": 100, "loss": 0.5})
        folder.finish(100, "done")
    return folder.path


def everything_in(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


# Whose folder it is.


def test_a_new_folder_says_what_runs_in_it(run):
    folder = RunFolder.read(run)
    assert folder.recipe_toml == RECIPE
    assert DESCRIPTION.items() <= folder.info.items()
    assert folder.metrics() == [{"images": 100, "loss": 0.5}]
    assert folder.changed == []
    assert folder.checkpoints.is_dir()
    (session,) = folder.info["sessions"]
    assert session["outcome"] == "done"
    assert session["from_images"] == 0
    assert session["images"] == 100
    assert session["wall_seconds"] >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", session["started_at"])


def test_the_same_recipe_continues(run):
    before = json.loads((run / "run.json").read_bytes())
    with begin(run, description=DESCRIPTION | {"torch": "3.0"}) as folder:
        assert folder.changed == ["torch was 2.13 and is now 3.0"]
        folder.resume(100)
        folder.finish(200, "interrupted")
    after = RunFolder.read(run).info
    assert after["torch"] == "2.13"
    assert after["started_at"] == before["started_at"]
    assert [session["outcome"] for session in after["sessions"]] == ["done", "interrupted"]
    assert RunFolder.read(run).changed == ["torch was 2.13 and is now 3.0"]
    after["sessions"][-1]["changed"] = {"torch": "3.0"}  # as the first folders had it
    (run / "run.json").write_text(json.dumps(after))
    assert RunFolder.read(run).changed == ["torch is now 3.0"]


def test_another_recipe_is_refused_with_the_differences(run):
    before = everything_in(run)
    with pytest.raises(RecipeError) as caught:
        begin(run, OTHER)
    assert caught.value.exit_code == 2
    text = str(caught.value)
    assert "generator.dcgan.width: the folder has 32, the recipe 64" in text
    assert "phase.0.fade: the folder has none, the recipe 0.5" in text
    assert "seed: the folder has 1, the recipe none" in text
    assert len(caught.value.faults) == 3
    assert "--fresh" in text
    assert "--out" in text
    assert everything_in(run).keys() == before.keys()
    assert {name: content for name, content in everything_in(run).items() if name != ".lock"} == {
        name: content for name, content in before.items() if name != ".lock"
    }
    begin(run).close()  # and the refusal has let go of the lock


def test_many_differences_are_cut_short(run):
    with pytest.raises(RecipeError) as caught:
        begin(run, RECIPE + "\n".join(f"key_{number:02} = '{'x' * 500}'" for number in range(30)))
    assert len(caught.value.faults) == 13
    assert "and 18 more" in str(caught.value)
    assert max(map(len, str(caught.value).splitlines())) < 200


@pytest.mark.parametrize("recipe", [None, b"\xff", b"= broken", b"a = " + b"[" * 5000 + b"]" * 5000])
def test_a_refusal_needs_no_readable_old_recipe(run, recipe):
    (run / "recipe.toml").unlink() if recipe is None else (run / "recipe.toml").write_bytes(recipe)
    with pytest.raises(RecipeError, match="another recipe"):
        begin(run, OTHER)


def test_fresh_keeps_the_old_runs_under_other_names(run):
    first = everything_in(run)
    for recipe in (OTHER, RECIPE):
        with begin(run, recipe, fresh=True) as folder:
            assert folder.path == run
            assert folder.metrics() == []
            assert folder.recipe_toml == recipe
    assert sorted(path.name for path in run.parent.iterdir()) == ["rembrandt", "rembrandt.old-1", "rembrandt.old-2"]
    kept = everything_in(run.with_name("rembrandt.old-1"))
    assert {**kept, ".lock": b""} == {**first, ".lock": b""}


def test_fresh_on_nothing_is_a_new_run(tmp_path):
    begin(tmp_path / "new", fresh=True).close()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("name", ["holiday.jpg", "recipe.toml", "checkpoints", ".tmp-mine"])
def test_a_folder_of_something_else_is_refused_and_untouched(tmp_path, name, fresh):
    (tmp_path / name).write_text("mine")
    with pytest.raises(RecipeError, match="not empty"):
        begin(tmp_path, fresh=fresh)
    assert everything_in(tmp_path) == {name: b"mine"}


def test_a_file_is_no_run_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RecipeError, match="no folder"):
        begin(tmp_path / "file")


def test_a_linked_folder_stays_where_the_link_leads(tmp_path):
    (tmp_path / "big disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "big disk")
    for _ in range(2):
        begin(tmp_path / "run", fresh=True).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big disk", "big disk.old-1", "run"]
    assert RunFolder.read(tmp_path / "run").path == tmp_path / "big disk"


@pytest.mark.parametrize("name", ["Ünïcödé 🎨", "with spaces", "line\nbreak", "x" * 240])
def test_names_of_folders_are_free(tmp_path, name):
    with begin(tmp_path / name) as folder:
        folder.record({"images": 1})
    begin(tmp_path / name, OTHER, fresh=True).close()
    assert (tmp_path / f"{name}.old-1" / "metrics.jsonl").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ResourceError) as caught:
        begin(tmp_path / "new")
    assert caught.value.exit_code == 7
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("fault", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_disk_that_refuses_is_found_before_any_work(tmp_path, monkeypatch, fault):
    at = 0
    while True:
        at += 1
        refused = None
        with monkeypatch.context() as patch:
            disk = FaultyDisk(patch, fault, at=at, lasting=True)
            try:
                begin(tmp_path / f"run-{at}").close()
            except ResourceError as error:
                refused = error
        if refused is not None:
            assert os.strerror(fault) in refused.cause
            assert refused.place == str(tmp_path / f"run-{at}")
        with begin(tmp_path / f"run-{at}") as folder:  # and nothing stands in the way of the next start
            assert folder.recipe_toml == RECIPE
        if disk.count < at:
            break
    assert at > 10


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("fault", ["kill", "torn"])
@pytest.mark.parametrize("names", [None, False, True], ids=["kill", "contents lost", "names lost"])
def test_a_start_that_is_killed_anywhere_can_be_repeated(tmp_path, monkeypatch, fault, names, fresh):
    at = 0
    while True:
        at += 1
        path = tmp_path / f"run-{at}"
        if fresh:
            with begin(path, OTHER) as folder:
                folder.record({"images": 1})
        with monkeypatch.context() as patch:
            disk = FaultyDisk(patch, fault, at=at)
            try:
                begin(path, fresh=fresh).close()
                killed = False
            except Killed:
                killed = True
        disk.end_process()
        if names is not None:
            disk.power_cut(names)
        with begin(path, fresh=fresh) as folder:
            assert folder.recipe_toml == RECIPE
            assert sorted(entry.name for entry in path.iterdir()) == [".lock", "checkpoints", "recipe.toml", "run.json"]
        if fresh:
            # A start that died before it wrote its recipe may be among the old ones; the finished run is, once.
            old = [entry for entry in tmp_path.glob(f"run-{at}.old-*") if (entry / "metrics.jsonl").exists()]
            assert [RunFolder.read(entry).recipe_toml for entry in old] == [OTHER]
            assert RunFolder.read(old[0]).metrics() == [{"images": 1}]
        if not killed:
            break
    assert at > 10


def test_a_power_cut_after_the_start_loses_nothing_of_it(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        disk = FaultyDisk(patch)
        with begin(tmp_path / "runs" / "run") as folder:
            folder.store("report.html", b"report")
    before = everything_in(folder.path)
    assert len(before) == 4
    disk.power_cut(names=True)
    del before[".lock"]  # made anew at each start, never flushed
    assert {name: content for name, content in everything_in(folder.path).items() if name != ".lock"} == before


# One owner.


HOLD = """
import sys
from contextlib import suppress
from pathlib import Path
from artgen.errors import CheckpointError
from artgen.run.record import RunFolder
try:
    folder = RunFolder.open(Path(sys.argv[1]), "", "f", fresh=sys.argv[2] == "fresh", description={})
except CheckpointError as error:
    print("refused", error, error.exit_code, flush=True)
else:
    print("ready", flush=True)
    sys.stdin.read()
"""


def hold(path, how="continue"):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD, str(path), how]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def test_a_second_process_is_told_who_holds_the_folder(tmp_path):
    with hold(tmp_path / "run") as holder:
        assert holder.stdout.readline() == "ready\n"
        for fresh in (False, True):
            with pytest.raises(CheckpointError) as caught:
                begin(tmp_path / "run", fresh=fresh)
            assert caught.value.exit_code == 4
            assert f"process {holder.pid} on {socket.gethostname()}, started 2" in str(caught.value)
        assert RunFolder.read(tmp_path / "run").info["sessions"][0]["outcome"] == "running"
        holder.stdin.close()
        assert holder.wait(timeout=20) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_lock_of_a_killed_process_frees_itself(tmp_path):
    with hold(tmp_path / "run") as holder:
        assert holder.stdout.readline() == "ready\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=20)
    with RunFolder.open(tmp_path / "run", "", "f", fresh=False, description={}) as folder:
        assert [session["outcome"] for session in folder.info["sessions"]] == ["killed", "running"]


@pytest.mark.parametrize("how", ["continue", "fresh"])
def test_of_many_that_start_at_once_one_owns_the_folder(tmp_path, how):
    hold_none = RunFolder.open(tmp_path / "run", "", "f", fresh=False, description={})
    hold_none.close()
    crowd = [hold(tmp_path / "run", how) for _ in range(6)]
    said = [process.stdout.readline() for process in crowd]
    for process in crowd:
        process.stdin.close()
        process.wait(timeout=20)
        process.stdout.close()
    assert said.count("ready\n") == 1
    assert sum(line.startswith("refused") for line in said) == 5
    assert len(list(tmp_path.glob("run.old-*"))) == (how == "fresh")


def test_one_process_cannot_open_it_twice_and_can_after_closing(tmp_path):
    with begin(tmp_path / "run") as folder:
        with pytest.raises(CheckpointError, match=f"process {os.getpid()} "):
            begin(tmp_path / "run")
        folder.close()
        folder.close()
        begin(tmp_path / "run").close()


def test_an_exception_lets_go_of_the_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt), begin(tmp_path / "run"):
        raise KeyboardInterrupt
    begin(tmp_path / "run").close()


def test_a_lock_on_a_folder_that_was_moved_aside_is_taken_anew(tmp_path, monkeypatch):
    real, moved = lock._lock, []

    def slow(descriptor):
        if not moved:  # between opening and locking, its owner begins anew and ends
            moved.append(True)
            (tmp_path / "run").rename(tmp_path / "run.old-1")
            (tmp_path / "run").mkdir()
        real(descriptor)

    (tmp_path / "run").mkdir()
    monkeypatch.setattr(lock, "_lock", slow)
    held = lock.Lock(tmp_path / "run" / ".lock")
    with pytest.raises(CheckpointError):
        lock.Lock(tmp_path / "run" / ".lock")
    lock.Lock(tmp_path / "run.old-1" / ".lock").release()
    held.release()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"pid": 1}', b"\xff" * 5000])
def test_a_lock_file_that_says_nothing_still_locks(tmp_path, text):
    held = lock.Lock(tmp_path / ".lock")
    (tmp_path / ".lock").write_bytes(text)
    with pytest.raises(CheckpointError, match="has not said who"):
        lock.Lock(tmp_path / ".lock")
    held.release()


def test_a_file_system_without_locks_is_borne_and_told(tmp_path, monkeypatch, caplog):
    def refuse(descriptor):
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(lock, "_lock", refuse)
    begin(tmp_path / "run").close()
    assert "knows no locks" in caplog.text


# Metrics and other files of the run.


def test_numbers_that_are_not_finite_are_null(run):
    with begin(run) as folder:
        folder.resume(100)
        folder.record({"images": 101, "a": math.nan, "b": math.inf, "c": 1e-7, "text": "Ünïcödé\n"})
    expected = {"images": 101, "a": None, "b": None, "c": 1e-7, "text": "Ünïcödé\n"}
    assert folder.metrics()[-1] == expected
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1]) == expected


@pytest.mark.parametrize("images", range(6))
def test_a_resumed_curve_has_no_doubles(tmp_path, images):
    rows = [{"images": number, "loss": number / 3} for number in range(6)]
    with begin(tmp_path / "run") as folder:
        folder.resume(0)
        for row in rows:
            folder.record(row)
    with begin(tmp_path / "run") as folder:
        folder.resume(images)
        assert folder.metrics() == (rows[: images + 1] if images else [])
        for row in rows[images + 1 if images else 0 :]:
            folder.record(row)
        assert folder.metrics() == rows


@pytest.mark.parametrize("torn", [b'{"images": 2', b'{"images": 2}', b"\x00\x00\x00", b"[1]\n", b'{"images": \xff}\n'])
def test_a_torn_last_line_is_dropped(run, torn):
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(torn)
    assert RunFolder.read(run).metrics() == [{"images": 100, "loss": 0.5}]
    with begin(run) as folder:
        folder.resume(1000)
        folder.record({"images": 1001})
        assert folder.metrics() == [{"images": 100, "loss": 0.5}, {"images": 1001}]
    assert torn not in (run / "metrics.jsonl").read_bytes()


def test_cutting_the_curve_is_all_or_nothing(run, monkeypatch):
    with begin(run) as folder:
        folder.resume(100)
        for images in (200, 300):
            folder.record({"images": images})
        whole = (run / "metrics.jsonl").read_bytes()
        at, seen = 0, set()
        while True:
            at += 1
            (run / "metrics.jsonl").write_bytes(whole)
            with monkeypatch.context() as patch:
                disk = FaultyDisk(patch, "torn", at=at)
                with suppress(Killed):
                    folder.resume(200)
            seen.add((run / "metrics.jsonl").read_bytes())
            if disk.count < at:
                break
    assert len(seen) == 2
    assert seen == {whole, b"".join(whole.splitlines(keepends=True)[:2])}


def test_no_room_to_cut_the_curve_is_said_before_training(run, monkeypatch):
    with begin(run) as folder, monkeypatch.context() as patch:
        FaultyDisk(patch, errno.ENOSPC, at=1, lasting=True)
        with pytest.raises(ResourceError, match="cut back"):
            folder.resume(50)
    assert folder.metrics() == [{"images": 100, "loss": 0.5}]


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_costs_lines_and_pictures_but_not_the_training(run, monkeypatch, caplog, fault):
    with begin(run) as folder:
        folder.resume(100)
        with monkeypatch.context() as patch:
            FaultyDisk(patch, fault, at=1, lasting=True)
            for images in (200, 300):
                folder.record({"images": images})
                assert folder.store(f"samples/{images}.png", b"picture") is None
            folder.finish(300, "done")
        assert [text.split(": ")[1] for text in caplog.messages] == [
            "metrics.jsonl cannot be written, training goes on",
            "samples cannot be written, training goes on",
            "run.json cannot be written, training goes on",
        ]
        folder.record({"images": 400})
        assert folder.store("samples/400.png", b"picture") == run / "samples" / "400.png"
    assert [row["images"] for row in folder.metrics()] == [100, 400]
    assert [path.name for path in (run / "samples").iterdir()] == ["400.png"]


def test_half_a_line_on_a_full_disk_is_taken_back(run, monkeypatch):
    real = os.write

    def half(descriptor, content):
        if len(content) < 10:
            raise OSError(errno.ENOSPC, "full")
        return real(descriptor, content[: len(content) // 2])

    before = (run / "metrics.jsonl").read_bytes()
    with begin(run) as folder:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", half)
            folder.record({"images": 200, "loss": 0.25})
        assert (run / "metrics.jsonl").read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_metrics_on_a_device_that_is_full(run, caplog):
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").symlink_to("/dev/full")
    with begin(run) as folder:
        folder.record({"images": 200})
        folder.record({"images": 300})
    assert caplog.text.count("No space left") == 1


def test_a_stored_file_is_replaced_whole(run, monkeypatch):
    with begin(run) as folder:
        folder.store("report.html", b"old")
        at = 0
        while True:
            at += 1
            with monkeypatch.context() as patch:
                disk = FaultyDisk(patch, "torn", at=at)
                with suppress(Killed):
                    folder.store("report.html", b"new, and longer")
            assert (run / "report.html").read_bytes() in (b"old", b"new, and longer")
            if disk.count < at:
                break
    assert (run / "report.html").read_bytes() == b"new, and longer"
    begin(run).close()
    assert not list(run.glob(".tmp-*"))


def test_a_missing_disk_costs_the_record_but_not_the_training(run, caplog):
    with begin(run) as folder:
        shutil.rmtree(run)
        folder.record({"images": 200})
        folder.finish(200, "done")
    assert caplog.text.count("cannot be written") == 2


# Reading.


def test_a_reader_does_not_write(run):
    folder = RunFolder.read(run)
    for write in (lambda: folder.record({}), lambda: folder.store("x", b""), lambda: folder.finish(0, "")):
        with pytest.raises(RuntimeError, match="for reading"):
            write()


@pytest.mark.parametrize("make", ["absent", "empty", "file"])
def test_reading_what_is_no_run_is_an_error_with_a_remedy(tmp_path, make):
    path = tmp_path / "run"
    if make != "absent":
        path.mkdir() if make == "empty" else path.write_text("")
    with pytest.raises(CheckpointError) as caught:
        RunFolder.read(path)
    assert caught.value.exit_code == 4
    assert caught.value.place == str(path)
    assert caught.value.remedy


HOSTILE = [
    b"",
    b"{}",
    b"[]",
    b"\xff",
    b"[" * 100_000,
    b'{"artgen_run": 1}',
    b'{"artgen_run": 1, "fingerprint": "x", "sessions": {}}',
    b'{"artgen_run": 1, "fingerprint": "x", "sessions": [1]}',
    b'{"artgen_run": 1, "fingerprint": 3, "sessions": []}',
    b'{"artgen_run": 2}',
    b'{"n": ' + b"9" * 10_000 + b"}",
]


@pytest.mark.parametrize("content", HOSTILE, ids=lambda content: repr(content[:60]))
def test_a_hostile_run_json_is_refused(run, content):
    (run / "run.json").write_bytes(content)
    for use in (RunFolder.read, begin):
        with pytest.raises(CheckpointError) as caught:
            use(run)
        assert str(run) in caught.value.place
    assert (run / "run.json").read_bytes() == content


def test_a_run_json_without_end_is_not_read(run):
    (run / "run.json").unlink()
    (run / "run.json").symlink_to("/dev/zero")
    with pytest.raises(CheckpointError):
        RunFolder.read(run)
    (run / "run.json").unlink()
    with (run / "run.json").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(CheckpointError, match="at most"):
        RunFolder.read(run)


def test_require_space_looks_at_the_disk_of_a_folder_to_be(tmp_path):
    files.require_space(tmp_path / "not" / "yet", 1, "a film")
    with pytest.raises(ResourceError, match=r"a film needs 1,000,000,000,000\.0 MB free on the disk") as caught:
        files.require_space(tmp_path / "not" / "yet", 10**18, "a film")
    assert caught.value.exit_code == 7


def test_the_record_needs_no_torch():
    program = "import sys, artgen.run.record; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
