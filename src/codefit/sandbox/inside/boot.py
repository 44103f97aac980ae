"""Builds the far side's modules from texts and starts the server; runs before anything else there.

The interpreter is started with `-c` on this text; the other texts come in a file descriptor, so that
nothing of this package need be visible in the sandbox's file system.
"""

from __future__ import annotations

import builtins
import importlib
import json
import os
import socket
import sys
from types import ModuleType
from typing import Any, NoReturn

_ORDER = ("codec", "inside.kernel", "inside.seccomp", "inside.landlock", "inside.isolate", "inside.watcher",
          "inside.group", "inside.watch", "inside.forking", "inside.fingerprint", "inside.guard", "inside.hidden",
          "inside.guarded", "inside.harness", "inside.root", "inside.server")  # fmt: skip
_UNITTESTS = "inside.unittests"
_ROOT_BUILT = "root-built"  # an argument of the interpreter that was started anew
_PACKAGE = "codefit.sandbox"


def load(texts: dict[str, str], order: tuple[str, ...] = _ORDER) -> dict[str, ModuleType]:
    """Return the modules, built in order, each with its own copy of the builtins."""
    for name in ("codefit", _PACKAGE, f"{_PACKAGE}.inside"):
        package = ModuleType(name)
        package.__path__ = []
        sys.modules[name] = package
    for short in order:
        name = f"{_PACKAGE}.{short}"
        module = ModuleType(name)
        module.__dict__["__builtins__"] = dict(vars(builtins))
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        setattr(sys.modules[parent], last, module)
        exec(compile(texts[short], f"<{short}>", "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    found = {name: sys.modules[name] for name in list(sys.modules) if name.split(".")[0] == "codefit"}
    for name in found:
        del sys.modules[name]
    return found


def main(control_fd: int, payload_fd: int, progress_fd: int) -> NoReturn:
    """Start the server described by the payload."""
    size = os.fstat(payload_fd).st_size
    payload: dict[str, Any] = json.loads(os.pread(payload_fd, size, 0))
    for name in ("ctypes", "gc", "mmap", "random", "site", "threading", "typing"):
        importlib.import_module(name)
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in payload["config"].items()}
    order: tuple[str, ...] = _ORDER
    if "unittest.mock" in settings["preload"]:
        importlib.import_module("unittest.mock")
        at = _ORDER.index("inside.guarded")
        order = (*_ORDER[:at], _UNITTESTS, *_ORDER[at:])
    modules = load(payload["texts"], order)
    config = modules[f"{_PACKAGE}.inside.isolate"].Config(**settings)
    control = socket.socket(fileno=control_fd)
    if config.root is not None and _ROOT_BUILT not in sys.argv:
        modules[f"{_PACKAGE}.inside.root"].build(config)
        # started anew, the interpreter belongs to the new user namespace, and may so read the
        # memory figures of the programs below it
        for fd in (control_fd, payload_fd, progress_fd):
            os.set_inheritable(fd, True)
        os.execv(sys.orig_argv[0], [*sys.orig_argv, _ROOT_BUILT])
    os.close(payload_fd)
    server = modules[f"{_PACKAGE}.inside.server"].Server(config, control, progress_fd)
    raise SystemExit(server.serve())
