"""What a plugin's code may not do to the rest of a process: it is noticed, undone and told. Imports nothing heavy.

Random states, thread count, precision, the current folder and so on belong to the whole process. Only modules that are
already loaded are looked at, so a look costs microseconds, and no command loads torch for it.
"""

from __future__ import annotations

import operator
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from operator import attrgetter, methodcaller
from typing import Any

from artgen.errors import PluginError, StoppedError
from artgen.excerpt import printable

PATIENCE_SECONDS = 3.0
"""After so long, whoever waits is told for which plugin."""


@dataclass(frozen=True, eq=False)
class _Thing:
    """One piece of global state: what it is called, the module that must be loaded, how to read it and put it back."""

    name: str
    module: str
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], object]


def _set(path: str) -> Callable[[Any, Any], object]:
    folder, _, name = path.rpartition(".")
    return lambda module, value: setattr(attrgetter(folder)(module) if folder else module, name, value)


def _call(name: str) -> Callable[[Any, Any], object]:
    return lambda module, value: attrgetter(name)(module)(value)


def _put_list(name: str) -> Callable[[Any, Any], object]:
    return lambda module, value: operator.setitem(getattr(module, name), slice(None), value)


def _handlers(signal: Any) -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}  # by which a run is stopped


def _handle(signal: Any, handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        if signal.getsignal(number) != handler and handler is not None:
            signal.signal(number, handler)


def _blanket(module: Any) -> list[Any]:
    """Filters that hush or raise warnings of every module alike; one about its own messages is a plugin's right."""
    return [each for each in module.filters if each[1] is None and each[2] is Warning and each[3] is None]


def _drop_filters(module: Any, wanted: list[Any]) -> None:
    module.filters[:] = [each for each in module.filters if each not in _blanket(module) or each in wanted]
    module._filters_mutated()


def _numpy_state(random: Any) -> tuple[Any, ...]:
    name, words, *rest = random.get_state()
    return (name, words.tobytes(), *rest)


def _put_numpy_state(random: Any, state: tuple[Any, ...]) -> None:
    name, words, *rest = state
    random.set_state((name, sys.modules["numpy"].frombuffer(words, "uint32"), *rest))


def _torch_state(torch: Any) -> tuple[bytes, ...]:
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return tuple(state.numpy().tobytes() for state in (torch.get_rng_state(), *devices))


def _put_torch_state(torch: Any, states: tuple[bytes, ...]) -> None:
    cpu, *devices = (torch.frombuffer(bytearray(state), dtype=torch.uint8) for state in states)
    torch.set_rng_state(cpu)
    if devices:
        torch.cuda.set_rng_state_all(devices)


def _drop_device(torch: Any, device: Any) -> None:
    torch.set_default_device(None)  # inside `with torch.device(...)` nothing can be put back, and nothing has to be


_VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF",
)
"""What torch and NumPy read when they are loaded."""


def _variables(os: Any) -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in _VARIABLES}


def _put_variables(os: Any, values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _flag(name: str, path: str) -> _Thing:
    return _Thing(name, "torch", attrgetter(path), _set(path))


_TF32 = "the precision of float32 products (TF32)"
_DRAWS = (
    _Thing("Python's random state", "random", methodcaller("getstate"), _call("setstate")),
    _Thing("NumPy's random state", "numpy.random", _numpy_state, _put_numpy_state),
    _Thing("torch's random state", "torch", _torch_state, _put_torch_state),
)
_FLAGS = (
    _Thing("sys.stdout", "sys", attrgetter("stdout"), _set("stdout")),
    _Thing("sys.stderr", "sys", attrgetter("stderr"), _set("stderr")),
    _Thing("sys.excepthook", "sys", attrgetter("excepthook"), _set("excepthook")),
    _Thing("sys.path", "sys", lambda sys: [*sys.path], _put_list("path")),
    _Thing("sys.argv", "sys", lambda sys: [*sys.argv], _put_list("argv")),
    _Thing("environment variables that torch reads", "os", _variables, _put_variables),
    _Thing("the recursion limit", "sys", methodcaller("getrecursionlimit"), _call("setrecursionlimit")),
    _Thing("logging.disable", "logging", attrgetter("root.manager.disable"), _set("root.manager.disable")),
    _Thing("the current folder", "os", methodcaller("getcwd"), _call("chdir")),
    _Thing("signal handlers", "signal", _handlers, _handle),
    _Thing("the filter of all warnings", "warnings", _blanket, _drop_filters),
    _Thing("torch's thread count", "torch", methodcaller("get_num_threads"), _call("set_num_threads")),
    _Thing("torch's default dtype", "torch", methodcaller("get_default_dtype"), _call("set_default_dtype")),
    _Thing("torch's grad mode", "torch", methodcaller("is_grad_enabled"), _call("set_grad_enabled")),
    _Thing(
        "torch's deterministic algorithms",
        "torch",
        methodcaller("get_deterministic_debug_mode"),
        _call("set_deterministic_debug_mode"),
    ),
    _Thing("torch's default device", "torch", methodcaller("get_default_device"), _drop_device),
    _Thing(
        "torch's anomaly detection", "torch", methodcaller("is_anomaly_enabled"), _call("autograd.set_detect_anomaly")
    ),
    _flag("cudnn.benchmark", "backends.cudnn.benchmark"),
    _flag("cudnn.deterministic", "backends.cudnn.deterministic"),
    _flag("cudnn.enabled", "backends.cudnn.enabled"),
    # The old setting goes first: to put it back also moves the newer ones below it, which are then put back too.
    _Thing(_TF32, "torch", methodcaller("get_float32_matmul_precision"), _call("set_float32_matmul_precision")),
    _flag(_TF32, "backends.cudnn.allow_tf32"),
    _flag(_TF32, "backends.fp32_precision"),
    _flag(_TF32, "backends.cuda.matmul.fp32_precision"),
    _flag(_TF32, "backends.cudnn.conv.fp32_precision"),
    _flag(_TF32, "backends.cudnn.rnn.fp32_precision"),
    _flag(_TF32, "backends.mkldnn.matmul.fp32_precision"),
    _flag(_TF32, "backends.mkldnn.conv.fp32_precision"),
)
_UNREADABLE = object()  # torch refuses to tell its precision while the old and the new settings disagree


class Watch:
    """The global state of the process at one moment.

    Args:
        draws: Whether the global random generators count; a factory draws its weights from them.
    """

    def __init__(self, *, draws: bool = True) -> None:
        self._things = (*_DRAWS, *_FLAGS) if draws else _FLAGS
        self._before = self._look()

    def undo(self) -> list[str]:
        """Put back what has changed since, and name it. Modules that were loaded meanwhile are watched from now on."""
        now = self._look()
        changed = [thing for thing, value in self._before.items() if now.get(thing, value) != value]
        told: dict[str, str] = {}
        for thing in changed:
            before, after = self._before[thing], now[thing]
            plain = isinstance(before, int | str) and isinstance(after, int | str)
            told.setdefault(thing.name, f"{thing.name} ({before} -> {after})" if plain else thing.name)
        for thing in self._before if changed else ():  # the others too: one setting of torch moves another
            before, module = self._before[thing], sys.modules.get(thing.module)
            if before is not _UNREADABLE and module is not None and _read(thing, module) != before:
                with suppress(Exception):
                    thing.write(module, before)
        self._before = {**now, **self._before}
        return list(told.values())

    def _look(self) -> dict[_Thing, Any]:
        return {
            thing: _read(thing, module)
            for thing in self._things
            if (module := sys.modules.get(thing.module)) is not None
        }


def _read(thing: _Thing, module: Any) -> Any:
    try:
        return thing.read(module)
    except Exception:
        return _UNREADABLE


@contextmanager
def restored(*, draws: bool = True) -> Iterator[list[str]]:
    """Undo what the body does to the global state of the process, and let nothing it prints mix with results.

    What the body prints goes to stderr: stdout belongs to the results of a command.

    Args:
        draws: As in `Watch`.

    Yields:
        A list; when the body is over, it names what was changed and has been put back.
    """
    changed: list[str] = []
    with redirect_stdout(sys.stderr):
        watch = Watch(draws=draws)
        try:
            yield changed
        finally:
            changed += watch.undo()


_lingering: list[threading.Thread] = []


@contextmanager
def watched_threads() -> Iterator[list[str]]:
    """Remember the threads that the body leaves behind and for which Python would wait at its end.

    Yields:
        A list; when the body is over, it holds their names.
    """
    before, names = set(threading.enumerate()), list[str]()
    try:
        yield names
    finally:
        left = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
        _lingering.extend(left)
        names += [thread.name for thread in left]


def threads_linger() -> bool:
    """Whether one of those threads still runs."""
    return any(thread.is_alive() for thread in _lingering)


def asked_to_stop(error: BaseException, outer: BaseException | None = None) -> BaseException | None:
    """The signal of a user that lies behind an error, which is then nobody's fault; `outer` was there before."""
    link: BaseException | None = error
    while link is not None and link is not outer:
        if isinstance(link, KeyboardInterrupt | StoppedError):
            return link
        link = link.__cause__ or link.__context__
    return None


@contextmanager
def patience(say: Callable[[str], object]) -> Iterator[Callable[[str], None]]:
    """Tell, once each, what takes longer than `PATIENCE_SECONDS`.

    Yields:
        `begin(what)`: from now on the body is busy with this.
    """
    over, busy = threading.Event(), ("", time.monotonic())

    def begin(what: str) -> None:
        nonlocal busy
        busy = (what, time.monotonic())

    def look() -> None:
        told = None
        while not over.wait(PATIENCE_SECONDS / 4):
            what, since = busy
            if what and told != (what, since) and time.monotonic() - since >= PATIENCE_SECONDS:
                told = (what, since)
                say(what)

    threading.Thread(target=look, daemon=True, name="artgen-patience").start()
    try:
        yield begin
    finally:
        over.set()


def cause_of(error: BaseException, file: str = "") -> str:
    """One line that says what was raised, and where: in the plugin's own code, if `file` says where that is."""
    return printable(_cause_of(error, file))


def _cause_of(error: BaseException, file: str) -> str:
    if isinstance(error, PluginError):  # a refusal of artgen, which says where by itself
        return error.cause
    notes = len(getattr(error, "__notes__", ()))
    lines = traceback.format_exception_only(error)
    what = " ".join(lines[-1 - notes if len(lines) > notes else -1].split())
    what = what if len(what) <= 500 else what[:500] + "..."
    if isinstance(error, SyntaxError) and error.filename:
        return f"{what} ({error.filename}, line {error.lineno})"
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    core = os.path.dirname(__file__) + os.sep  # noqa: PTH120  # pathlib takes longer to import than this to run
    home = os.path.dirname(file) + os.sep if os.path.basename(file) == "__init__.py" else file  # noqa: PTH119, PTH120
    own = [frame for frame in frames if home and frame[0].startswith(home)]
    others = [
        frame
        for frame in frames
        if not frame[0].startswith((core, "<frozen")) and "importlib" not in frame[0] and "pluggy" not in frame[0]
    ]
    for place, line in (own or others)[-1:]:
        return f"{what} ({place}, line {line})"
    return what
