"""What only a process of its own shows: signals, streams, pipes, limits, what it imports."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from artgen.run import checkpoint
from tests.cli.conftest import content

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits as POSIX has them")


def ended(process):
    """Exit code, stdout and stderr of a process, which ends within a minute."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def wait_for(path):
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_saves_and_the_same_command_goes_on(started, artgen, here, number, code, said):
    process = started("run", "endless.toml", "--set", "phase=[{images=20_000_000,batch=8}]")
    run = here / "runs" / "endless"
    wait_for(run / "samples" / "images-000000200.png")
    assert artgen("run", "endless.toml", "--set", "phase=[{images=20_000_000,batch=8}]").code == 4  # it is busy
    process.send_signal(number)
    status, out, err = ended(process)
    assert status == code
    assert out == ""
    assert said in err
    assert "Traceback" not in err
    assert "goes on from here" in err
    (saved,) = checkpoint.committed(run / "checkpoints")
    assert checkpoint.load(saved)[1]["images"] >= 200
    record = json.loads((run / "run.json").read_text())["sessions"]
    assert record[-1]["outcome"] == "stopped"


def test_help_check_and_plugins_import_no_torch(here):
    script = """
import sys
from artgen.cli.main import artgen
for arguments in (["--help"], ["check", "tiny.toml"], ["plugins", "ls"], ["recipe", "ls"], ["run", "--help"]):
    try:
        artgen(arguments, standalone_mode=False)
    except SystemExit:
        pass
    heavy = {"torch", "kornia", "cv2", "numpy"} & set(sys.modules)
    assert not heavy, (arguments, heavy)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=here, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "rembrandt" in done.stdout


@pytest.mark.parametrize("command", [["recipe", "show", "rembrandt"], ["plugins", "ls"]])
def test_a_reader_that_leaves_early_is_no_fault(started, command):
    reading, writing = os.pipe()
    os.close(reading)  # as `| head -1` does, only sooner
    process = started(*command, stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=60)
    assert err == ""
    assert process.returncode == 1


def test_streams_without_a_terminal(started, here):
    """Results on stdout, all else on stderr; neither bars nor colours where nobody looks."""
    status, out, err = ended(started("run", "tiny.toml", env={"NO_COLOR": ""}))
    assert status == 0
    assert out.splitlines()[-1] == str(here / "runs" / "tiny" / "report.html")
    assert "400 of 400 images" in err
    assert not {"\r", "\x1b"} & set(out + err)
    status, out, err = ended(started("run", "nowhere", env={"NO_COLOR": ""}))
    assert (status, out) == (2, "")
    assert err.startswith("error: nowhere: ")


def test_an_error_on_a_terminal_is_red_unless_no_color_is_set(here, started):
    pty = pytest.importorskip("pty")

    def shown(value):
        own, other = pty.openpty()
        process = started("recipe", "show", "nowhere", stderr=other, env={"NO_COLOR": value, "TERM": "xterm"})
        process.communicate(timeout=60)
        os.close(other)
        try:
            return os.read(own, 10_000)
        finally:
            os.close(own)

    assert b"\x1b[31m" in shown("")
    plain = shown("1")
    assert b"\x1b" not in plain
    assert plain.startswith(b"error: ")


def test_a_disk_that_fills_up_keeps_the_old_checkpoint(started, artgen, here):
    """A limit on the size of files stands for a full disk: it fails within a write, when the free space looked fine."""
    wide = ["--set", "generator.dense.hidden=[1024]", "--set", "phase=[{images=160,batch=8}]"]
    assert artgen("run", "tiny.toml", *wide).code == 0
    run = here / "runs" / "tiny"
    for path in checkpoint.committed(run / "checkpoints")[:1]:  # as if it had been killed half-way
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    (run / "figures.json").unlink()
    before = content(run / "checkpoints")
    largest = max(len(held) for held in before.values())
    limit = largest - 1000
    process = started(
        "run", "tiny.toml", *wide, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    )
    status, out, err = ended(process)
    assert (status, out) == (7, ""), err
    assert "the checkpoint could not be saved, the older ones stand: File too large" in err
    assert "Free some space" in err
    assert "Traceback" not in err
    assert content(run / "checkpoints") == before
    assert artgen("run", "tiny.toml", *wide).code == 0  # with room again, it goes on


def test_an_absurd_batch_neither_hangs_nor_eats_the_machine(started, here):
    """It is taken in pieces; how long a step of it takes is told before the first one."""
    limit = 16 << 30
    process = started(
        "run", "digits", "--device", "cpu", "--set", "phase=[{images=1048576,batch=1048576}]",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    said = [process.stderr.readline() for _ in range(2)]
    assert "a batch of 1048576 at 32x32 px does not fit into memory" in said[0]
    assert "needs about" in said[1]
    wait_for(here / "runs" / "digits" / "samples" / "images-000000000.png")
    assert process.poll() is None
    pieces = json.loads((here / "runs" / "digits" / "run.json").read_text())["pieces"]
    assert pieces[0] > 1
    assert 1048576 % pieces[0] == 0
