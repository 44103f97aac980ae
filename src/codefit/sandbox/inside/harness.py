"""Loads one hostile program and runs its tests, in the program's own process.

Nothing here knows an expected value: what a test returned goes out as data and is judged elsewhere.
Frames are a length, a nonce, a tag, CPU seconds, and one encoded value; the tags: S started, R ready (the
program is loaded), V value, E error of one test, O too much output, L error while loading, Y no valid syntax.
Everything needed afterwards is bound before the program is loaded (these modules have a private copy of
the builtins), and every frame carries a nonce that exists only in this process' closures.
A program that searches its own process for the closures can forge frames. For calls, expressions and
stdin that gains nothing: the right values are elsewhere. Where tests are decided in this process,
`guarded` runs them.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import os
import random
import site
import sys
import threading
from collections.abc import Callable, Iterator
from os import _exit, close, getpid, read
from os import write as _write
from struct import Struct
from time import process_time
from types import ModuleType
from typing import Any, NoReturn

from codefit.sandbox import codec
from codefit.sandbox.codec import TooLarge, decode, encode
from codefit.sandbox.inside import fingerprint as fingerprints
from codefit.sandbox.inside import guard, guarded, hidden
from codefit.sandbox.inside.fingerprint import fingerprint, made_of_floats

_TYPE_NAME = type.__dict__["__name__"].__get__
_ERROR_CHARS = 500
_TEXT_BYTES = 8000
_HEAD = Struct(">I16scd")
_SETUP_FAILED = b"\xff\xff\xff\xff"
_settrace, _setprofile = sys.settrace, sys.setprofile
_finish_threads, _run_exit_functions = threading._shutdown, atexit._run_exitfuncs  # type: ignore[attr-defined]
_modules = sys.modules

Send = Callable[[bytes, Any], None]
_started: list[bool] = []
_warm: list[tuple[dict[str, ModuleType], guard.Verify, guard.Verify]] = []


def run(request_fd: int, reply_fd: int, scratch: str) -> NoReturn:
    """Read the request, load the program, run its tests, end the process."""
    request = decode(_read_all(request_fd))
    close(request_fd)
    send = _sender(reply_fd, request["nonce"], request["cap"])
    _started.append(True)
    send(b"S", None)
    path = f"{scratch}/cwd/solution.py"
    _prepare(scratch)
    random.seed(0)
    if "numpy" in _modules:
        _modules["numpy"].random.seed(0)
    code = _compile(request["source"], path, send)
    _write_source(path, request["source"])
    if request["kind"] == "stdin":
        _run_main(code, path, send)
    if request["guard"]:
        name = "__test__" if request["kind"] == "unittest" else "solution"
        box = [_guarded(request, reply_fd, lambda: _executed(code, name, path))]
        request.clear()  # the nonce, and below the sender: nothing on the stack may lead to them
        del send
        guarded.hide()
        hidden.run(box)
        _exit(0)
    namespace = _load(code, path, send)
    _guard(b"L", send, lambda: _exec(request["setup"], "<setup>", namespace))
    _TESTERS[request["kind"]](request, namespace, send)
    _exit(0)


def warm(harness: ModuleType) -> None:
    """Prepare, in the server, what guarded programs need; `harness` is this module."""
    modules = [codec, fingerprints, guard, guarded, harness]
    if guarded.unittests is not None:
        modules.append(guarded.unittests)
    copies = hidden.copies(modules)
    _warm[:] = [(copies, guarded.verifier(), copies["guarded"].verifier())]


def _guarded(request: dict[str, Any], reply_fd: int, load: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Return the calls that run a guarded program; whatever reports is made of copies of these modules."""
    copies, during, after = _warm.pop()
    deliver = copies["harness"].delivery(reply_fd, request["nonce"], request["cap"])
    steps = copies["guarded"].steps(guarded, request, load, deliver, _describe, during, after)
    return hidden.thunks(steps, vars(guarded))


def delivery(reply_fd: int, nonce: bytes, cap: int) -> Send:
    """Return what sends the frames of a guarded program."""
    send = _sender(reply_fd, nonce, cap)
    return lambda kind, value: _deliver(kind, value, send, None)


def report_failure(reply_fd: int, text: str) -> None:
    """Say that the process could not be set up; silent once the program may have run."""
    if not _started:
        _write(reply_fd, _SETUP_FAILED + text.encode("utf-8", "replace")[:_ERROR_CHARS])


def _read_all(fd: int) -> bytes:
    parts = []
    while part := read(fd, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _sender(fd: int, nonce: bytes, cap: int) -> Send:
    last = process_time()
    owner = getpid()

    def send(kind: bytes, value: Any) -> None:
        nonlocal last
        if getpid() != owner:
            _exit(0)  # a child of the program came back from a test
        body = encode(value, cap if kind == b"V" else _TEXT_BYTES)
        now = process_time()
        data = _HEAD.pack(_HEAD.size - 4 + len(body), nonce, kind, now - last) + body
        last = now
        while data:
            data = data[_write(fd, data) :]

    return send


def _prepare(scratch: str) -> None:
    os.environ.update(HOME=f"{scratch}/home", TMPDIR=scratch)
    os.environ.pop("PWD", None)
    sys.argv[:] = ["solution.py"]
    site.setquit()
    site.sethelper()
    _modules["__main__"] = ModuleType("__main__")
    gc.freeze()


def _write_source(path: str, source: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        _write(fd, source.encode("utf-8", "surrogatepass"))
    except OSError:
        pass  # only a convenience for programs that look at their own source
    finally:
        close(fd)


def _describe(error: BaseException) -> str:
    name = _TYPE_NAME(type(error))
    try:
        text = str(error)
    except BaseException:
        text = ""
    return f"{name}: {text[:_ERROR_CHARS]}" if text else name


def _fail(kind: bytes, error: BaseException, send: Send) -> NoReturn:
    send(kind, _describe(error))
    _exit(0)


def _guard(kind: bytes, send: Send, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except BaseException as e:
        _fail(kind, e, send)


def _compile(source: str, path: str, send: Send) -> Any:
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as e:
        _fail(b"Y", e, send)
    except BaseException as e:
        _fail(b"L", e, send)


def _exec(text: str, name: str, namespace: dict[str, Any]) -> None:
    if text:
        exec(compile(text, name, "exec", dont_inherit=True), namespace)  # noqa: S102


def _module(name: str, path: str) -> dict[str, Any]:
    module = ModuleType(name)
    _modules[name] = module
    namespace = module.__dict__
    namespace["__file__"] = path
    namespace["__builtins__"] = builtins
    return namespace


def _executed(code: Any, name: str, path: str) -> dict[str, Any]:
    namespace = _module(name, path)
    exec(code, namespace)  # noqa: S102
    return namespace


def _load(code: Any, path: str, send: Send) -> dict[str, Any]:
    namespace: dict[str, Any] = _guard(b"L", send, lambda: _executed(code, "solution", path))
    send(b"R", None)
    return namespace


def _one(action: Callable[[], Any], send: Send, over: int | None = None) -> None:
    try:
        value = action()
        kind = b"V"
    except BaseException as e:
        kind, value = b"E", _describe(e)
    _deliver(kind, value, send, over)


def _short(value: Any, over: int | None) -> Any:
    """Return the value, or its digest where its encoding is longer than `over` bytes."""
    if over is None or made_of_floats(value):
        return value
    try:
        encode(value, over)
    except TooLarge:
        return fingerprint(value)
    return value


def _deliver(kind: bytes, value: Any, send: Send, over: int | None) -> None:
    _settrace(None)
    _setprofile(None)
    try:
        send(kind, _short(value, over) if kind == b"V" else value)
    except TooLarge as e:
        send(b"O", str(e))
        _exit(0)
    except BaseException as e:
        send(b"E", _describe(e))


def _calls(request: dict[str, Any], namespace: dict[str, Any], send: Send) -> None:
    holder, _, method = request["entry_point"].rpartition(".")

    def find() -> Any:
        name = holder or method
        if name not in namespace:
            raise NameError(f"entry point {name!r} is not defined")
        return namespace[name]

    target = _guard(b"L", send, find)
    tests = request["tests"]
    for raw, over in zip(tests, request["over"] or [None] * len(tests), strict=True):
        if holder:
            _one(lambda raw=raw: getattr(target(), method)(*decode(raw)), send, over)  # type: ignore[misc]
        else:
            _one(lambda raw=raw: target(*decode(raw)), send, over)  # type: ignore[misc]


def _exprs(request: dict[str, Any], namespace: dict[str, Any], send: Send) -> None:
    for text in request["tests"]:
        _one(lambda text=text: eval(compile(text, "<test>", "eval", dont_inherit=True), namespace), send)  # type: ignore[misc]  # noqa: S307


_TESTERS = {"calls": _calls, "exprs": _exprs}


def _run_main(code: Any, path: str, send: Send) -> NoReturn:
    """Run the program as a script would run: streams by descriptor, threads and exit functions awaited.

    At the end the program's module is let go, so that objects that write when they end do so.
    """
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc,unused-ignore]  # noqa: SIM115
    own = sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # type: ignore[misc,unused-ignore]  # noqa: SIM115
    error = _outcome_of(lambda: exec(code, _module("__main__", path)))  # noqa: S102
    for finish in (_finish_threads, _run_exit_functions, _flush, _let_go, lambda: _flush(own)):
        error = _outcome_of(finish) or error
    send(b"E" if error else b"V", error)
    _exit(1 if error else 0)


def _let_go() -> None:
    _modules.pop("__main__", None)
    gc.collect()


def _flush(stream: Any = None) -> None:
    """Flush standard output as the interpreter does at its end: not where the program closed it."""
    stream = stream or sys.stdout
    if stream is not None and not getattr(stream, "closed", False):
        stream.flush()


def _outcome_of(action: Callable[[], Any]) -> str | None:
    try:
        action()
    except SystemExit as e:
        return None if e.code is None or e.code == 0 else _describe(e)
    except BaseException as e:
        return _describe(e)
    return None
