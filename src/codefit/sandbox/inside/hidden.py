"""Keeps what decides a verdict out of the reach of a program that runs in the same process.

The modules that handle a guarded program exist twice. The program can find those whose code is on the
stack while it runs, and change what it likes in them. What verifies and reports runs in copies, to which
nothing leads but the C stack: functions with globals of their own; classes are shared, so they lead to the
modules that the program may find.
Between the two, calls made of C functions alone see to it that no code of the program's (a trace function,
a signal handler, the collector's callbacks) starts while a frame of the copies exists; the copies touch
nothing but objects of exact types, and free none of the program's.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found,unused-ignore]  # its functions are in C
import builtins
import gc
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import compress, islice
from operator import call
from types import FunctionType, ModuleType
from typing import Any

State = tuple[Any, ...]
Step = Callable[[State], State]
Thunk = Callable[[], Any]

_setprofile, _settrace, _exit = sys.setprofile, sys.settrace, os._exit
_IGNORED = {n: _signal.SIG_DFL if n == _signal.SIGCHLD else _signal.SIG_IGN for n in _signal.valid_signals()}


def copies(modules: Iterable[ModuleType]) -> dict[str, ModuleType]:
    """Return copies of modules by name; their functions call each other, and share classes and values."""
    originals = list(modules)
    made = [ModuleType(m.__name__) for m in originals]
    builtin = dict(vars(builtins))
    for copy in made:
        vars(copy)["__builtins__"] = builtin

    def copied(value: Any) -> Any:
        for original, copy in zip(originals, made, strict=True):
            if value is original:
                return copy
            if type(value) is FunctionType and value.__globals__ is vars(original):
                found = FunctionType(value.__code__, vars(copy), value.__name__, value.__defaults__)
                found.__kwdefaults__ = value.__kwdefaults__
                return found
        return value

    for original, copy in zip(originals, made, strict=True):
        vars(copy).update({n: copied(v) for n, v in vars(original).items() if n != "__builtins__"})
    return {copy.__name__.rpartition(".")[2]: copy for copy in made}


def thunks(steps: Iterable[Step], reachable: dict[str, Any]) -> Iterator[Thunk]:
    """Return calls that run steps, each on what the one before returned, and end the process.

    Steps whose globals are `reachable` run the program's code; the others are hidden from it.
    """
    state: deque[State] = deque([()])
    before: deque[Any] = deque()  # whether the collector ran, and the signals' handlers
    kept: list[State] = []
    made: list[Thunk] = []
    exposed = True
    for step in steps:
        was, exposed = exposed, step.__globals__ is reachable
        if was and not exposed:
            made += [*_quiet(before), _once(_whole(kept), state)]
        elif exposed and not was:
            made += _as_before(before)
        made.append(_once(step, state))
    return iter([*made, partial(_exit, 0)])


def run(box: list[Iterator[Thunk]]) -> None:
    """Run the calls; `box` is emptied so that no frame holds them."""
    deque(map(call, box.pop()), 0)


def _once(step: Step, state: deque[State]) -> Thunk:
    return partial(state.extend, map(step, islice(iter(state.pop, None), 1)))


def _quiet(before: deque[Any]) -> list[Thunk]:
    """Return calls after which nothing starts the program's code by itself."""
    numbers = _numbers()
    return [
        partial(_setprofile, None),
        partial(_settrace, None),
        partial(before.extend, map(call, [gc.isenabled])),
        gc.disable,
        gc.callbacks.clear,
        partial(before.extend, map(_signal.signal, numbers, map(_IGNORED.get, numbers))),
        partial(_signal.pthread_sigmask, _signal.SIG_BLOCK, ()),  # runs the handlers that wait
    ]


def _as_before(before: deque[Any]) -> list[Thunk]:
    """Return calls after which the collector and the handlers are what they were."""
    was: Iterator[Any] = iter(before.popleft, None)
    nowhere: deque[Any] = deque(maxlen=0)
    return [
        partial(nowhere.extend, map(call, compress([gc.enable], was))),
        partial(nowhere.extend, map(_signal.signal, _numbers(), was)),
    ]


def _numbers() -> list[int]:
    """Return the signals whose handlers can be put back."""
    never = (_signal.SIGKILL, _signal.SIGSTOP)
    return [n for n in _IGNORED if n not in never and _signal.getsignal(n) is not None]


def _whole(kept: list[State]) -> Step:
    """Return a step that lets nothing but a tuple through, and keeps it from being freed here."""

    def step(state: State) -> State:
        if type(state) is not tuple:
            _exit(71)
        kept.append(state)
        return state

    return step
