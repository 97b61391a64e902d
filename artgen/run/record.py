"""The run folder: what a run leaves behind, and who may write there.

recipe.toml      the recipe, resolved and complete
run.json         command, versions, plugins, device, data; each session with its times and its outcome
metrics.jsonl    one line a report
samples/         previews
checkpoints/     see `artgen.run.checkpoint`
report.html, figures.json
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from artgen import files
from artgen.errors import CheckpointError, RecipeError
from artgen.run.differences import changes, differences
from artgen.run.lock import Lock

SCHEMA = 1
LOCK, RECIPE, RUN, METRICS = ".lock", "recipe.toml", "run.json", "metrics.jsonl"
_LIMIT_BYTES = 1 << 24
_METRICS_LIMIT_BYTES = 1 << 32

log = logging.getLogger(__name__)


class RunFolder:
    """A run folder: `open` it to train in it, `read` it to look at it. As a context manager, it lets go at the end."""

    path: Path
    """The folder, with links resolved."""
    info: dict[str, Any]
    """What `run.json` says."""

    def __init__(self, path: Path, info: dict[str, Any], lock: Lock | None = None) -> None:
        self.path, self.info = path, info
        self._lock = lock
        self._started_seconds = time.monotonic()
        self._warned: set[str] = set()

    @classmethod
    def open(
        cls, path: Path, recipe_toml: str, fingerprint: str, *, fresh: bool = False, description: Mapping[str, Any]
    ) -> RunFolder:
        """Make the folder of a run, or continue in it, as its only writer.

        Args:
            path: The folder; made if absent.
            recipe_toml: The resolved recipe.
            fingerprint: What tells this recipe from another; a run that has begun continues only under the same one.
            fresh: Begin anew: an older run is renamed to `<name>.old-1` (2, 3, ...).
            description: JSON values for `run.json`, see `artgen.run.description`.

        Raises:
            RecipeError: If the folder holds another recipe's run (with the differences) or is not one of artgen.
            CheckpointError: If another process works in it, or `run.json` cannot be read.
            ResourceError: If it cannot be made or written.
        """
        path = path.resolve()
        if path.exists() and not path.is_dir():
            raise RecipeError("it is no folder", place=str(path), remedy="Choose a folder with --out.")
        with files.disk_trouble(path, "the run folder cannot be used"):
            files.make_folder(path)
            try:
                _refuse_foreign(path)
                lock = Lock(path / LOCK)
            except FileNotFoundError:
                raise CheckpointError(
                    "another process has just moved this folder aside", place=str(path), remedy="Run the command again."
                ) from None
            try:
                if fresh and (path / RUN).exists():
                    lock = _begin_anew(path, lock)
                info = _read_info(path) if (path / RUN).exists() else _new_info(fingerprint, description)
                if info["fingerprint"] != fingerprint:
                    if _has_begun(path):
                        raise _another_recipe(path, recipe_toml)
                    info = _new_info(fingerprint, description)
                folder = cls(path, info, lock)
                folder._begin_session(recipe_toml, description)
            except BaseException:
                lock.release()
                raise
        return folder

    @classmethod
    def read(cls, path: Path) -> RunFolder:
        """Look at a run, which may be training now.

        Raises:
            CheckpointError: If there is no run.
        """
        if not (path / RUN).is_file():
            raise CheckpointError(
                "there is no run here" if path.is_dir() else "there is no such folder",
                place=str(path),
                remedy="Name the folder of a run: it holds run.json and checkpoints/.",
            )
        return cls(path.resolve(), _read_info(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the next process have the folder."""
        if self._lock is not None:
            self._lock.release()

    @property
    def checkpoints(self) -> Path:
        """The folder that `artgen.run.checkpoint` works in."""
        return self.path / "checkpoints"

    @property
    def recipe_toml(self) -> str:
        """The resolved recipe of the run."""
        return _read(self.path / RECIPE, _LIMIT_BYTES).decode(errors="replace")

    @property
    def changed(self) -> list[str]:
        """In words, what is otherwise in this session than in the first one: another torch or device, say.

        Where it is not empty, a resumed run need not have the bits of a straight one.
        """
        sessions = self.info["sessions"]
        changed = sessions[-1].get("changed", []) if sessions else []
        if isinstance(changed, dict):  # as run folders of the first days have it
            return [f"{name} is now {value}" for name, value in changed.items()]
        return [str(sentence) for sentence in changed]

    def metrics(self) -> list[dict[str, Any]]:
        """All lines of `metrics.jsonl`, oldest first; a torn one is left out. Not finite numbers are None."""
        return [row for _, row in self._lines()]

    def resume(self, images: int) -> None:
        """Continue after `images`: cut the metrics recorded later, so that no point of the curve is there twice.

        Args:
            images: The checkpoint's images, 0 if there is none. Call it before the first `record`.

        Raises:
            ResourceError: If the disk has no room for the shortened file.
        """
        # Without a checkpoint everything is done again, the very first line too.
        kept = b"".join(line for line, row in self._lines() if images and _images(row) <= images)
        file = self.path / METRICS
        if file.exists() and file.stat().st_size != len(kept):
            with files.disk_trouble(file, "the metrics cannot be cut back to the checkpoint"):
                files.replace(file, kept)
        self._session["from_images"] = images
        self._store_info()

    def record(self, values: Mapping[str, Any]) -> None:
        """Add a line of JSON values to `metrics.jsonl`; it holds `images`. A full disk is logged once, never raised."""
        row = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in values.items()
        }
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        self._attempt(METRICS, lambda: files.append(self.path / METRICS, line))

    def store(self, name: str, content: bytes) -> Path | None:
        """Write a file of the run (`samples/000123456.png`, `report.html`), whole or not at all.

        Returns:
            Its path, or None where the disk refused; that is logged once for each folder, never raised.
        """
        path = self.path / name

        def write() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(path, content)

        return path if self._attempt(name.partition("/")[0], write) else None

    def note(self, **facts: Any) -> None:
        """Add JSON values to `run.json`: what is known only once the pictures are prepared."""
        self.info.update(facts)
        self._store_info()

    def finish(self, images: int, outcome: str) -> None:
        """Close this session's entry in `run.json`: `outcome` is "finished", "stopped" or "failed"."""
        wall_seconds = round(time.monotonic() - self._started_seconds, 3)
        self._session.update(images=images, wall_seconds=wall_seconds, outcome=outcome)
        self._store_info()

    @property
    def _session(self) -> dict[str, Any]:
        session: dict[str, Any] = self.info["sessions"][-1]
        return session

    def _begin_session(self, recipe_toml: str, description: Mapping[str, Any]) -> None:
        """Write down that a session runs, and tidy up after the one before."""
        sessions: list[dict[str, Any]] = self.info["sessions"]
        if sessions and sessions[-1].get("outcome") == "running":
            sessions[-1]["outcome"] = "killed"
        # Compared as JSON, so that a tuple equals the list that it became.
        now: dict[str, Any] = json.loads(json.dumps(dict(description)))
        changed = [str(change) for change in changes(self.info, now)]
        sessions.append({"started_at": _utc_now(), "outcome": "running"} | ({"changed": changed} if changed else {}))
        # run.json first: from then on the folder is known as ours, whatever happens next.
        files.replace(self.path / RUN, _to_json(self.info))
        if not (self.path / RECIPE).exists() or self.recipe_toml != recipe_toml:
            files.replace(self.path / RECIPE, recipe_toml.encode())
        files.make_folder(self.checkpoints)
        for folder in (self.path, self.checkpoints, self.path / "samples"):
            files.remove_leftovers(folder)

    def _store_info(self) -> None:
        self._attempt(RUN, lambda: files.replace(self.path / RUN, _to_json(self.info)))

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        file = self.path / METRICS
        for line in _read(file, _METRICS_LIMIT_BYTES).splitlines(keepends=True) if file.exists() else ():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict) and line.endswith(b"\n"):
                yield line, row

    def _attempt(self, channel: str, write: Callable[[], None]) -> bool:
        if self._lock is None:
            raise RuntimeError("this run folder was opened for reading")
        try:
            write()
        except OSError as error:
            if channel not in self._warned:
                log.warning(
                    "%s: %s cannot be written, training goes on: %s", self.path, channel, error.strerror or error
                )
                self._warned.add(channel)
            return False
        return True


_RESERVED = {"artgen_run", "fingerprint", "started_at", "sessions"}


def _new_info(fingerprint: str, description: Mapping[str, Any]) -> dict[str, Any]:
    own = {"artgen_run": SCHEMA, "fingerprint": fingerprint, "started_at": _utc_now()}
    described: dict[str, Any] = json.loads(json.dumps(dict(description)))
    return own | {key: value for key, value in described.items() if key not in _RESERVED} | {"sessions": []}


def _read_info(path: Path) -> dict[str, Any]:
    file = path / RUN
    try:
        info = json.loads(_read(file, _LIMIT_BYTES))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"it is not JSON: {error}", place=str(file), remedy=_MOVE_AWAY) from None
    match info:
        case {"artgen_run": 1, "fingerprint": str(), "sessions": list(sessions)}:
            if all(isinstance(session, dict) for session in sessions):
                return dict(info)
        case {"artgen_run": int(schema)} if schema != SCHEMA:
            raise CheckpointError(
                f"the run has the format {schema} and this artgen reads {SCHEMA}",
                place=str(path),
                remedy="Use the version of artgen that made it.",
            )
    raise CheckpointError("it is not the record of a run", place=str(file), remedy=_MOVE_AWAY)


_MOVE_AWAY = "Restore the file from a copy, or choose another folder with --out."


def _read(file: Path, limit_bytes: int) -> bytes:
    try:
        return files.read(file, limit_bytes)
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise CheckpointError(f"it cannot be read: {cause}", place=str(file), remedy=_MOVE_AWAY) from error


def _images(row: Mapping[str, Any]) -> float:
    images = row.get("images", 0)
    return images if isinstance(images, (int, float)) else 0


def _refuse_foreign(path: Path) -> None:
    """Refuse a folder with things in it that no run has left there. A run that died at birth leaves its lock."""
    names = {entry.name for entry in path.iterdir() if not files.is_leftover(entry)}
    if RUN not in names and names - {LOCK}:
        raise RecipeError(
            "it is not empty and not the folder of a run",
            place=str(path),
            remedy="Choose a new or an empty folder with --out.",
        )


def _has_begun(path: Path) -> bool:
    """Whether a run has taken a step: not if it failed before, at a mistyped `--data` or a batch too large, say."""
    checkpoints, metrics = path / "checkpoints", path / METRICS
    return any(checkpoints.iterdir() if checkpoints.is_dir() else ()) or (
        metrics.exists() and metrics.stat().st_size > 0
    )


def _begin_anew(path: Path, lock: Lock) -> Lock:
    """Move an older run aside under its lock, and take the lock of a new folder in its place."""
    if sys.platform == "win32":
        lock.release()  # a folder with an open file cannot be renamed there
    count = 1
    while path.with_name(f"{path.name}.old-{count}").exists():
        count += 1
    files.move(path, path.with_name(f"{path.name}.old-{count}"))
    lock.release()
    files.make_folder(path)
    return Lock(path / LOCK)


def _another_recipe(path: Path, recipe_toml: str) -> RecipeError:
    try:
        faults = differences(_read(path / RECIPE, _LIMIT_BYTES).decode(), recipe_toml)
    except (CheckpointError, ValueError):
        faults = []  # the refusal stands without the reasons
    return RecipeError(
        "this folder holds the run of another recipe",
        place=str(path),
        remedy="Choose another folder with --out, or --fresh to keep the old run under another name and begin anew.",
        faults=faults,
    )


def _to_json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
