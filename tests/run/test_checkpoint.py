"""Checkpoints: exact, whole or absent, checked, and never a pickle."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import textwrap
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from faulty_disk import FaultyDisk, Killed
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from artgen import files
from artgen.errors import CheckpointError, DivergedError, ResourceError
from artgen.run import checkpoint
from artgen.run.checkpoint import committed, load, newest, prune, save
from artgen.run.state import DEEPEST

ROOT = Path(__file__).resolve().parents[2]


def same(one, other):
    """Equal in value, type, order of keys, dtype, shape and every bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        raw = [
            t.detach().clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8) for t in (one, other)
        ]
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(*raw)
    if isinstance(one, dict):
        keys = [(type(key), key) for key in one]
        return keys == [(type(key), key) for key in other] and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other)


def state_at(images):
    """A small state that differs for every number of images."""
    generator = torch.Generator().manual_seed(images)
    return {
        "generator": {"weight": torch.randn(3, 4, generator=generator), "steps": torch.tensor(images)},
        "trainer": {"state": {0: {"mean": torch.randn(5, generator=generator)}}, "rate": 1 / 3, "at": images},
    }


def info_at(images):
    return {"images": images, "phase": 1, "recipe": "abcdef"}


@pytest.fixture
def folder(tmp_path):
    """Checkpoints at 100 and 200 images."""
    folder = tmp_path / "checkpoints"
    for images in (100, 200):
        save(folder, state_at(images), info_at(images))
    return folder


def round_trip(state, **options):
    with tempfile.TemporaryDirectory() as folder:
        return load(save(Path(folder), {"part": state}, {"images": 0}, **options))[0]["part"]


# The state comes back as it was.


DTYPES = [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64]


@st.composite
def tensors(draw):
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    count = math.prod(shape)
    raw = torch.tensor(draw(st.lists(st.integers(-(2**31), 2**31), min_size=count, max_size=count)), dtype=torch.int64)
    plain = raw.view(torch.float64).to(dtype) if dtype.is_floating_point else raw.to(dtype)
    tensor = plain.reshape(shape)
    return tensor.transpose(0, -1) if len(shape) > 1 and draw(st.booleans()) else tensor


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | tensors()
KEYS = st.integers() | st.text() | st.sampled_from(["$tensor", "$items", "__metadata__", "a/b", "a", "b", "\ud800"])
STATES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(STATES)
def test_any_state_comes_back_bit_for_bit(state):
    assert same(round_trip(state, finite=False), state)


@pytest.mark.parametrize(
    "state",
    [
        torch.tensor(3.5),
        {"a/b": torch.ones(1), "a": {"b": torch.zeros(1)}, 1: torch.ones(2), "1": torch.zeros(2)},
        {"__metadata__": torch.ones(2)},
        {"$tensor": "value"},
        [math.inf, -math.inf, math.nan, -0.0, 5e-324, 2**200],
        torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last),
        torch.ones(1).expand(3, 3),
        torch.arange(10)[::2],
        torch.ones(3, dtype=torch.complex64).conj().imag,  # its sign is a flag, not in its memory
        {"x": torch.zeros(0), "y": torch.zeros(0, 4)},
    ],
    ids=str,
)
def test_awkward_states_come_back(state):
    assert same(round_trip(state), state)


def test_shared_memory_is_saved_twice():
    whole = torch.arange(6.0)
    assert same(
        round_trip({"whole": whole, "view": whole[2:4], "again": whole}),
        {"whole": whole, "view": whole[2:4], "again": whole},
    )


def test_parameters_come_back_as_tensors_and_ordered_dicts_as_dicts():
    restored = round_trip(OrderedDict(weight=nn.Parameter(torch.ones(2))))
    assert same(restored, {"weight": torch.ones(2)})
    assert not restored["weight"].requires_grad


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.Adam([{"params": [("weight", p)], "lr": 0.1}], betas=(0.0, 0.99)),
        lambda p: torch.optim.Adam([p], lr=torch.tensor(0.1), amsgrad=True),
        lambda p: torch.optim.LBFGS([p], history_size=3, line_search_fn="strong_wolfe"),
        lambda p: torch.optim.RMSprop([p], momentum=0.9),
    ],
    ids=["adam, named", "adam, tensor rate", "lbfgs", "rmsprop"],
)
def test_an_optimizer_goes_on_as_if_nothing_had_happened(make):
    def step(weight, optimizer):
        def closure():
            optimizer.zero_grad()
            loss = ((weight - torch.tensor([1.0, -2.0, 3.0])) ** 4).sum()
            loss.backward()
            return loss

        optimizer.step(closure)

    straight = nn.Parameter(torch.zeros(3))
    optimizer = make(straight)
    for _ in range(3):
        step(straight, optimizer)
    resumed = nn.Parameter(straight.detach().clone())
    second = make(resumed)
    saved = round_trip(optimizer.state_dict())
    assert same(saved, optimizer.state_dict())
    second.load_state_dict(saved)
    for _ in range(3):
        step(straight, optimizer)
        step(resumed, second)
    assert same(resumed.detach(), straight.detach())


def test_a_network_comes_back(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    network(torch.randn(2, 3, 8, 8))
    twin = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    parts, info = load(save(tmp_path, {"generator": network.state_dict()}, {"images": 7, "lowest": math.inf}))
    twin.load_state_dict(parts["generator"])
    assert same(dict(twin.state_dict()), dict(network.state_dict()))
    assert info == {"images": 7, "lowest": math.inf}


class Surprise:
    def __reduce__(self):
        return (os.mkdir, ("never",))


def itself():
    value = []
    value += [value, value]
    return value


def nested(depth):
    return [] if depth == 1 else [nested(depth - 1)]


@pytest.mark.parametrize(
    "value",
    [
        Surprise(),
        {1, 2},
        b"bytes",
        torch.float32,
        torch.ones(2).to_sparse(),
        torch.ones(2, device="meta"),
        torch.ones(2, dtype=torch.complex64),
        {(1, 2): 3},
        {True: 1},
        {None: 1},
        2**5000,
        itself(),
        nested(DEEPEST + 1),
        torch.Size([1]),
        torch.ones(1).numpy()[0],
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_needs_a_pickle_is_refused_by_its_place(tmp_path, value):
    with pytest.raises(CheckpointError, match="cannot be saved") as caught:
        save(tmp_path / "checkpoints", {"trainer": {"groups": [{"lr": value}]}}, {"images": 0})
    assert caught.value.place.startswith("trainer/groups/0/lr")
    assert not (tmp_path / "checkpoints").exists()


def test_the_deepest_state_allowed_comes_back():
    assert same(round_trip(nested(DEEPEST)), nested(DEEPEST))


@pytest.mark.parametrize("part", ["../evil", "", "a/b", "Generator", "a.b", "x" * 65, "weiß"])
def test_part_names_stay_in_the_folder(tmp_path, part):
    with pytest.raises(CheckpointError, match="name"):
        save(tmp_path, {part: {}}, {"images": 0})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("images", [-1, 1.0, True, None])
def test_images_is_a_number_of_images(tmp_path, images):
    with pytest.raises(ValueError, match="number of images"):
        save(tmp_path, {}, {"images": images})


def test_tensors_do_not_belong_into_the_info(tmp_path):
    with pytest.raises(CheckpointError, match="tensor"):
        save(tmp_path, {}, {"images": 0, "loss": torch.ones(1)})


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_weights_that_are_not_finite_are_not_committed(folder, bad, dtype):
    state = state_at(300)
    state["trainer"]["state"][0]["mean"] = torch.tensor([0.0, bad], dtype=dtype)
    with pytest.raises(DivergedError) as caught:
        save(folder, state, info_at(300))
    assert caught.value.place == "trainer/state/0/mean"
    assert newest(folder).info["images"] == 200
    assert save(folder, state, info_at(300), finite=False).name == "images-000000300"


# Order, names, retention.


def test_order_is_by_images_and_never_by_the_clock(tmp_path):
    for images in (2_000_000_000, 999_999_999, 5):
        path = save(tmp_path, state_at(images), info_at(images))
        os.utime(path, (images, -images))
    assert [path.name for path in committed(tmp_path)] == ["images-2000000000", "images-999999999", "images-000000005"]
    assert newest(tmp_path).info["images"] == 2_000_000_000


def test_a_name_that_is_taken_is_not_overwritten(folder):
    for count in range(2, 12):
        path = save(folder, {"count": {"count": count}}, info_at(200))
        assert path.name == f"images-000000200-{count}"
    assert newest(folder).parts["count"] == {"count": 11}
    prune(folder, keep=2)
    assert [path.name for path in committed(folder)] == ["images-000000200-11", "images-000000200-10"]


def test_prune_keeps_the_newest(folder):
    save(folder, state_at(300), info_at(300))
    prune(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["images-000000200", "images-000000300"]
    with pytest.raises(ValueError, match="2 or more"):
        prune(folder, keep=1)


def test_a_folder_that_is_absent_or_empty_has_no_newest(tmp_path):
    assert newest(tmp_path) is None
    assert newest(tmp_path / "absent") is None
    with pytest.raises(CheckpointError, match="missing"):
        load(tmp_path / "absent")


def test_what_is_no_checkpoint_is_left_alone(folder):
    for name in (".tmp-mine", "images-7", "notes.txt", "images-000000900.bak"):
        (folder / name).mkdir()
    assert newest(folder).info["images"] == 200
    files.remove_leftovers(folder)
    prune(folder)
    assert {".tmp-mine", "images-7", "notes.txt", "images-000000900.bak"} <= {path.name for path in folder.iterdir()}


# Every single change to the disk is made to fail.


def save_and_prune(folder):
    save(folder, state_at(300), info_at(300))
    prune(folder)


def check_old_or_new(folder):
    """One whole checkpoint is the newest, it is what was saved, and the next start can go on."""
    found = newest(folder)
    assert found.info in (info_at(200), info_at(300))
    assert same(found.parts, state_at(found.info["images"]))
    assert found.damaged == ()
    for path in committed(folder):
        load(path)  # not one of them is half deleted
    files.remove_leftovers(folder)
    assert all(path.name.startswith("images-") for path in folder.iterdir())
    save(folder, state_at(400), info_at(400))
    assert same(newest(folder).parts, state_at(400))
    return found.info["images"]


def at_every_operation(folder, monkeypatch, fault, *, lasting=False, names=None):
    """Run `save_and_prune` with the fault at operation 1, 2, ... until it is not reached; what was newest each time."""
    outcomes = []
    while True:
        trial = folder.with_name(f"trial-{len(outcomes)}")
        shutil.copytree(folder, trial)
        with monkeypatch.context() as patch:
            disk = FaultyDisk(patch, fault, at=len(outcomes) + 1, lasting=lasting)
            try:
                save_and_prune(trial)
                raised = None
            except (Killed, ResourceError) as error:
                raised = error
        if names is not None:
            disk.power_cut(names)
        if isinstance(raised, ResourceError):
            assert raised.exit_code == 7
            assert os.strerror(fault) in str(raised)
            assert lasting or not list(trial.glob(".tmp-*"))
        outcomes.append(check_old_or_new(trial))
        shutil.rmtree(trial)
        if disk.count < len(outcomes):
            assert raised is None
            assert outcomes[-1] == 300
            return outcomes


@pytest.mark.parametrize("fault", ["kill", "torn", errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.ESTALE])
def test_a_fault_at_any_operation_leaves_the_old_or_the_new_checkpoint(folder, monkeypatch, fault):
    outcomes = at_every_operation(folder, monkeypatch, fault)
    # 4 files (open, write, flush), 2 folders, the rename, and the pruning: the rig really saw them.
    assert len(outcomes) > 20
    assert set(outcomes) == {200, 300}
    assert outcomes == sorted(outcomes)


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_stays_full_leaves_the_old_or_the_new_checkpoint(folder, monkeypatch, fault):
    assert set(at_every_operation(folder, monkeypatch, fault, lasting=True)) == {200, 300}


@pytest.mark.parametrize("names", [False, True], ids=["contents lost", "contents and names lost"])
@pytest.mark.parametrize("fault", ["kill", "torn"])
def test_a_power_cut_at_any_operation_leaves_the_old_or_the_new_checkpoint(folder, monkeypatch, fault, names):
    outcomes = at_every_operation(folder, monkeypatch, fault, names=names)
    assert set(outcomes) == {200, 300}


def test_a_power_cut_after_a_save_does_not_lose_it(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        disk = FaultyDisk(patch)
        save(tmp_path / "new" / "checkpoints", state_at(300), info_at(300))
    disk.power_cut(names=True)
    assert same(newest(tmp_path / "new" / "checkpoints").parts, state_at(300))


@pytest.mark.parametrize("skipped", ["_sync", "sync_folder"])
def test_the_rig_sees_a_missing_flush(folder, monkeypatch, skipped):
    # Without this control, the test above would pass for code that flushes nothing.
    with monkeypatch.context() as patch:
        patch.setattr(files, skipped, lambda *_: None)
        disk = FaultyDisk(patch)
        save(folder, state_at(300), info_at(300))
    disk.power_cut(names=True)
    assert newest(folder).info["images"] == 200


def test_a_file_system_without_flush_is_borne_and_told_once(folder, monkeypatch, caplog):
    def refuse(descriptor):
        raise OSError(errno.EINVAL, "no flush here")

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(files, "_told_unsupported", False)
    save(folder, state_at(300), info_at(300))
    save(folder, state_at(400), info_at(400))
    assert newest(folder).info["images"] == 400
    assert caplog.text.count("cannot flush") == 1


def test_space_is_checked_before_any_work(folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1_000_000))
    with pytest.raises(ResourceError, match=r"needs 4\.0 MB free on the disk, and 1\.0 MB are"):
        save(folder, {"big": torch.zeros(500_000)}, info_at(300))
    assert len(list(folder.iterdir())) == 2


def test_a_limit_on_the_size_of_files_is_a_full_disk(folder):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(ResourceError, match="the older ones stand"):
            save(folder, {"big": torch.zeros(500_000)}, info_at(300))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(list(folder.iterdir())) == 2
    assert newest(folder).info["images"] == 200


def run_python(program, *arguments, prefix=()):
    command = [*prefix, sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


def test_a_small_disk_that_fills_up_for_real(tmp_path):
    inside = ("unshare", "--map-root-user", "--mount", "--")
    mounted = ("sh", "-c", 'mount -t tmpfs -o size=3m tmpfs "$0" && exec "$@"', str(tmp_path))
    if (
        not shutil.which("unshare")
        or subprocess.run([*inside, *mounted, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount a small tmpfs in a namespace of its own")
    program = """
        import sys, torch
        from pathlib import Path
        from artgen.errors import ResourceError
        from artgen import files
        from artgen.run.checkpoint import newest, save
        from artgen.run.record import RunFolder
        run = RunFolder.open(Path(sys.argv[1]) / "run", "", "x", fresh=False, description={})
        state = lambda images: {"part": torch.full((500_000,), float(images))}  # 2 of the 3 MB
        try:
            save(run.checkpoints, state(100), {"images": 100})
        except ResourceError as error:
            print("early:", error.cause)
        files.require_space = lambda *_: None
        save(run.checkpoints, state(100), {"images": 100})
        try:
            save(run.checkpoints, state(200), {"images": 200})
        except ResourceError as error:
            print("late:", error.cause)
        found = newest(run.checkpoints)
        left = len(list(run.checkpoints.iterdir()))
        print("kept:", found.info["images"], found.parts["part"].unique().tolist(), left)
        for images in range(2000):
            run.record({"images": images, "text": "x" * 1000})
            run.store("samples/sheet.png", bytes(1_000_000))
        rows = run.metrics()
        print("metrics:", 0 < len(rows) < 2000, (run.path / "metrics.jsonl").read_bytes().endswith(b"}\\n"))
    """
    done = run_python(program, tmp_path, prefix=(*inside, *mounted))
    assert done.returncode == 0, done.stderr
    early, late, kept, metrics = done.stdout.splitlines()
    assert early.startswith("early: a checkpoint needs 4.0 MB free")
    assert late.startswith("late: the checkpoint could not be saved")
    assert "No space left" in late
    assert kept == "kept: 100 [100.0] 1"
    assert metrics == "metrics: True True"
    assert done.stderr.count("metrics.jsonl cannot be written") == 1
    assert done.stderr.count("samples cannot be written") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill -9")
def test_kill_9_at_random_moments(tmp_path):
    program = """
        import os, random, signal, sys, time, torch
        from pathlib import Path
        from artgen import files
        from artgen.run.checkpoint import newest, prune, save
        folder, done = Path(sys.argv[1]), 0
        state = lambda images: {"a": torch.full((30_000,), float(images)), "b": {"images": images}}
        for round in range(5):
            reader, writer = os.pipe()
            child = os.fork()
            if not child:
                while True:
                    done += 1
                    save(folder, state(done), {"images": done})
                    os.write(writer, done.to_bytes(8, "big"))
                    prune(folder)
            os.close(writer)
            os.read(reader, 8)
            time.sleep(random.random() / 10)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            told = b""
            while more := os.read(reader, 1 << 20):
                told += more
            found = newest(folder)
            assert not found.damaged, found.damaged
            done = found.info["images"]
            assert not told or done >= int.from_bytes(told[-8:], "big"), "a finished save is lost"
            assert found.parts["b"] == {"images": done} and found.parts["a"].unique().tolist() == [done]
            files.remove_leftovers(folder)
            assert len(list(folder.iterdir())) <= 3
            print(done)
    """
    done = run_python(program, tmp_path)
    assert done.returncode == 0, done.stderr
    reached = [int(line) for line in done.stdout.split()]
    assert len(reached) == 5
    assert reached == sorted(reached)


# Damage is found, named and stepped over.


def damage(path, how):
    if how == "delete":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        if how == "flip":
            content[len(content) // 2] ^= 1
        path.write_bytes({"empty": b"", "truncate": content[:-1], "longer": content + b"\n", "flip": content}[how])


HOW = ["flip", "truncate", "longer", "empty", "delete"]
NAMES = ["manifest.json", "state.json", "generator.safetensors", "trainer.safetensors"]


@pytest.mark.parametrize(
    ("name", "how"),
    # White space after the manifest changes nothing in it.
    [(name, how) for name in NAMES for how in HOW if (name, how) != ("manifest.json", "longer")],
)
def test_damage_is_named_and_the_older_checkpoint_taken(folder, name, how):
    damage(folder / "images-000000200" / name, how)
    before = sorted(path.name for path in (folder / "images-000000200").iterdir())
    for _ in range(2):  # a reader changes nothing
        found = newest(folder, set_aside=False)
        assert found.info["images"] == 100
        assert len(found.damaged) == 1
    found = newest(folder)
    assert same(found.parts, state_at(100))
    assert found.damaged[0].startswith(str(folder / "images-000000200" / name))
    assert sorted(path.name for path in (folder / "damaged-images-000000200").iterdir()) == before
    assert newest(folder).damaged == ()


def test_a_flipped_bit_at_any_byte_is_found(folder):
    path = committed(folder)[0]
    for name in NAMES:
        whole = (path / name).read_bytes()
        for index in range(len(whole)):
            flipped = bytearray(whole)
            flipped[index] ^= 1 << (index % 8)
            (path / name).write_bytes(flipped)
            with pytest.raises(CheckpointError) as caught:
                load(path)
            assert caught.value.place.startswith(str(path))
        (path / name).write_bytes(whole)
    assert same(load(path)[0], state_at(200))


def test_if_none_is_whole_each_is_named_and_none_renamed(folder):
    for path in committed(folder):
        damage(path / "state.json", "flip")
    for _ in range(2):
        with pytest.raises(CheckpointError) as caught:
            newest(folder)
        assert caught.value.exit_code == 4
        assert str(caught.value).count("state.json") == 2
        assert "--fresh" in caught.value.remedy
    assert len(committed(folder)) == 2


def test_a_damaged_name_that_is_taken_is_not_overwritten(folder):
    (folder / "damaged-images-000000200").mkdir()
    damage(folder / "images-000000200" / "state.json", "empty")
    newest(folder)
    assert (folder / "damaged-images-000000200-2" / "state.json").exists()


def test_a_reader_looks_again_when_the_owner_prunes_under_its_eyes(folder, monkeypatch):
    real, seen = checkpoint.load, []

    def slow(path, device="cpu"):
        if not seen:
            shutil.rmtree(path)
        seen.append(path)
        return real(path, device)

    monkeypatch.setattr(checkpoint, "load", slow)
    found = newest(folder, set_aside=False)
    assert found.info["images"] == 100
    assert found.damaged == ()


def test_another_format_is_no_damage(folder):
    forge(committed(folder)[0], schema=2)
    with pytest.raises(CheckpointError, match="format 2 and this artgen reads 1"):
        newest(folder)
    assert len(committed(folder)) == 2


# Hostile checkpoints: every checksum is right.


def forge(path, contents=(), schema=1, listed=None):
    """Put other contents into a checkpoint and make its manifest fit."""
    for name, content in dict(contents).items():
        (path / name).write_bytes(content)
    manifest = json.loads((path / "manifest.json").read_bytes())
    del manifest["sha256"]
    manifest["artgen_checkpoint"] = schema
    for name, entry in manifest["files"].items():
        content = (path / name).read_bytes()
        entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    manifest["files"] |= listed or {}
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest | {"sha256": digest}))


def tensor_file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


GOOD = '"trainer": {}'
SKELETONS = {
    "deep": '{"trainer": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "rather deep": '{"trainer": ' + "[" * 500 + "]" * 500 + "}",
    "not JSON": "{",
    "not text": b"\xff\xfe{}",
    "nan": '{"trainer": NaN}',
    "endless number": '{"trainer": ' + "9" * 100_000 + "}",
    "list": "[]",
    "part missing": "{}",
    "part too many": '{"trainer": {}, "generator": {}, "evil": {}}',
    "unknown tag": '{"$call": ["os.system", "true"]}',
    "two tags": '{"$tuple": [], "$float": "nan"}',
    "tag beside key": '{"$tuple": [], "key": 1}',
    "float text": '{"$float": "1e400"}',
    "tensor missing": '{"$tensor": "nothing"}',
    "tensor left over": "{}",
    "tensor twice": '[{"$tensor": "steps"}, {"$tensor": "weight"}, {"$tensor": "weight"}]',
    "pair of three": '{"$items": [[1, 2, 3]]}',
    "key is a list": '{"$items": [[[], 1]]}',
    "key is a boolean": '{"$items": [[true, 1]]}',
    "items are no pairs": '{"$items": ["ab"]}',
}


@pytest.mark.parametrize("name", SKELETONS)
def test_a_hostile_skeleton_is_refused(folder, name):
    path, text = committed(folder)[0], SKELETONS[name]
    if isinstance(text, str) and "trainer" not in text and text not in ("{", "[]") and name != "part missing":
        honest = json.loads((path / "state.json").read_bytes())
        text = json.dumps(honest | {"generator": "GENERATOR"}).replace('"GENERATOR"', text)
    forge(path, {"state.json": text if isinstance(text, bytes) else text.encode()})
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert "safetensors" in caught.value.place or "state.json" in caught.value.place
    assert newest(folder).info["images"] == 100


TENSORS = {
    "empty": b"",
    "no header": struct.pack("<Q", 10**9),
    "deep header": tensor_file(b"[" * 100_000),
    "huge": tensor_file({"weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
    "overflow": tensor_file({"weight": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 0]}}),
    "no extent": tensor_file({"weight": {"dtype": "F32", "shape": [0, 2**63], "data_offsets": [0, 0]}}),
    "negative": tensor_file({"weight": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 0]}}),
    "overlap": tensor_file(
        {
            "weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            "steps": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        },
        bytes(4),
    ),
    "dtype": tensor_file({"weight": {"dtype": "PICKLE", "shape": [], "data_offsets": [0, 0]}}),
    "pickle": b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
}


@pytest.mark.parametrize("name", TENSORS)
def test_hostile_tensors_are_refused(folder, name):
    path = committed(folder)[0]
    forge(path, {"generator.safetensors": TENSORS[name]})
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert caught.value.place.endswith("generator.safetensors")


@pytest.mark.parametrize(
    "listed",
    [
        {"../evil.safetensors": {"bytes": 0, "sha256": ""}},
        {"/etc/passwd": {"bytes": 0, "sha256": ""}},
        {"evil.pkl": {"bytes": 0, "sha256": ""}},
        {"evil": {"bytes": 0, "sha256": ""}},
        {".safetensors": {"bytes": 0, "sha256": ""}},
        {"trainer.safetensors": {"bytes": -1, "sha256": ""}},
        {"trainer.safetensors": {"bytes": "many", "sha256": 3}},
        {"trainer.safetensors": None},
        {"state.json": []},
    ],
    ids=str,
)
def test_a_hostile_list_of_files_is_refused(folder, listed):
    path = committed(folder)[0]
    forge(path, listed=listed)
    with pytest.raises(CheckpointError):
        load(path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "sparse"])
def test_what_is_no_plain_file_is_not_opened(folder, name, kind):
    path = committed(folder)[0] / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)  # opening it would wait for ever
    elif kind == "link":
        path.symlink_to("/dev/zero")  # reading it would never end
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(checkpoint.JSON_LIMIT_BYTES + 1)
    assert name in newest(folder).damaged[0]


def test_memory_format_is_kept(tmp_path):
    """A fused Adam walks weights and moments side by side in memory: read back in another order, they would mix."""
    there = {"a": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last), "b": torch.randn(2, 3, 4, 5)}
    parts, _ = checkpoint.load(checkpoint.save(tmp_path, {"trainer": there}, {"images": 1}))
    for name, tensor in there.items():
        assert parts["trainer"][name].stride() == tensor.stride()
        assert torch.equal(parts["trainer"][name], tensor)
