"""Programs whose tests are decided beside them: run so that the program finds nothing to forge with.

The work is a list of steps. Whatever holds the reply's nonce, what is expected of the reply, or what the
guard compares with lives in steps that are not running while the program's code does, and the list
itself only on the C stack, so that walking up frames from the program leads to none of it.
"""

from __future__ import annotations

import builtins
import functools
import gc
from collections.abc import Callable, Iterator
from typing import Any

from codefit.sandbox.inside import guard

try:
    from codefit.sandbox.inside import unittests
except ImportError:  # built only by servers that have unittest imported
    unittests = None  # type: ignore[assignment]

State = tuple[Any, ...]
Step = Callable[[State], State]
Deliver = Callable[[bytes, Any], None]
Describe = Callable[[BaseException], str]

_BUILTINS = dict(vars(builtins))
_warm: list[tuple[guard.Verify, guard.Verify]] = []


def warm() -> None:
    """Capture what tests rely on, in the server, before any program."""
    own = () if unittests is None else (unittests.Record,)
    _warm[:] = [(guard.verifier(own), guard.verifier(own))]


def run(box: list[Iterator[Step]]) -> None:
    """Run the steps, one after the other; `box` is emptied so that no frame holds them."""
    functools.reduce(_apply, box.pop(), ())


def _apply(state: State, step: Step) -> State:
    return step(state)


def steps(
    request: dict[str, Any], load: Callable[[], Any], deliver: Deliver, describe: Describe
) -> list[Step]:
    """Return the steps of a program: load it, run its tests, report.

    `load` executes the program and returns its namespace. `deliver` sends a frame of `harness`.
    """
    during, after = _warm.pop()
    head = [_attempt(load, describe), _loaded(deliver), _verified(after), _prepared(request, describe),
            _loaded(deliver), _verified(after), _ready(deliver)]  # fmt: skip
    if request["kind"] == "unittest":
        tests = [_class_step(request, during, describe)]
    else:
        tests = [_test_step(text, request["kind"], describe) for text in request["tests"]]
    for test in tests:
        head += [test, _verified(after, at_end=True), _reported(deliver)]
    return head


def hide() -> None:
    """Put all objects so far where the collector does not list them, and take away the way back."""
    guard.refuse_introspection()
    gc.freeze()
    vars(gc).pop("unfreeze", None)


def _attempt(action: Callable[[], Any], describe: Describe) -> Step:
    """Return a step that ends with (value, None), or with (None, error) where the action fails."""

    def step(_state: State) -> State:
        try:
            return action(), None
        except BaseException as e:
            return None, describe(e)

    return step


def _loaded(deliver: Deliver) -> Step:
    """Return a step that ends the process where loading failed, and says why."""

    def step(state: State) -> State:
        if state[1] is not None:
            deliver(b"L", state[1])
            raise guard.trip(0)
        return state

    return step


def _ready(deliver: Deliver) -> Step:
    def step(state: State) -> State:
        deliver(b"R", None)
        return state

    return step


def _reported(deliver: Deliver) -> Step:
    """Return a step that sends the value or the error of a test."""

    def step(state: State) -> State:
        value, error, space = state
        if error is None:
            deliver(b"V", value)
        else:
            deliver(b"E", error)
        return space, None

    return step


def _verified(verify: guard.Verify, *, at_end: bool = False) -> Step:
    def step(state: State) -> State:
        if not verify(not at_end):
            raise guard.trip(guard.PATCHED)
        return state

    return step


def _prepared(request: dict[str, Any], describe: Describe) -> Step:
    """Return a step that makes of the program's namespace the one that tests run in.

    The tests of a unittest module share the program's namespace, since they replace names in it. Others
    get their own: the program's names, less those that hide a builtin.
    """
    entry_point, kind, setup = request["entry_point"], request["kind"], request["setup"]
    texts, stub = request["tests"], request["stub"]

    def make(namespace: dict[str, Any]) -> dict[str, Any]:
        if kind == "unittest":
            space = namespace
            setup_text, name = texts[0], "__test__.py"
        else:
            space = {k: v for k, v in namespace.items() if k not in _BUILTINS or k == entry_point}
            space["__builtins__"] = dict(_BUILTINS)
            setup_text, name = setup, "<setup>"
        if entry_point in space:
            space[entry_point] = guard.inspected(space[entry_point], guard.lies)
        exec(compile(setup_text, name, "exec", dont_inherit=True), space)  # noqa: S102
        if stub and kind != "unittest":
            _put_stub(space, entry_point)
        return space

    def step(state: State) -> State:
        try:
            return make(state[0]), None
        except BaseException as e:
            return None, describe(e)

    return step


def _put_stub(space: dict[str, Any], entry_point: str) -> None:
    holder, _, method = entry_point.rpartition(".")
    if holder:
        setattr(space[holder], method, guard.raising)
    else:
        space[entry_point] = guard.raising


def _class_step(request: dict[str, Any], verify: guard.Verify, describe: Describe) -> Step:
    entry_point, stub, wrong = request["entry_point"], request["stub"], request["wrong"]

    def step(state: State) -> State:
        try:
            if stub:
                return unittests.probe(state[0], entry_point, wrong, verify), None, state[0]
            return unittests.run_class(state[0], verify), None, state[0]
        except BaseException as e:
            return None, describe(e), state[0]

    return step


def _test_step(text: str, kind: str, describe: Describe) -> Step:
    """Return a step that runs one test; the namespace is carried on for the next one."""
    mode = "eval" if kind == "exprs" else "exec"
    run_text = eval if kind == "exprs" else exec

    def step(state: State) -> State:
        space = state[0]
        try:
            return run_text(compile(text, "<test>", mode, dont_inherit=True), space), None, space
        except BaseException as e:
            return None, describe(e), space

    return step
