"""Programs whose tests are decided beside them: run so that the program finds nothing to forge with.

The work is a list of steps. Some run the program's code, or touch what is the program's; while they do, the
program can walk up the stack to them, and change their module. They are made of the module as it is in
`front`. The others hold what the reply is signed with and what is expected of the program. They are made
of a copy that nothing leads to (see `hidden`), never run together with the program's code, and look at
objects of exact types only.
"""

from __future__ import annotations

import builtins
import gc
from collections.abc import Callable
from typing import Any

from codefit.sandbox.inside import guard

try:
    from codefit.sandbox.inside import unittests as unittests
except ImportError:  # built only by servers that have unittest imported
    unittests = None  # type: ignore[assignment]

State = tuple[Any, ...]
Step = Callable[[State], State]
Deliver = Callable[[bytes, Any], None]
Describe = Callable[[BaseException], str]

_BUILTINS = dict(vars(builtins))


def verifier() -> guard.Verify:
    """Capture what tests rely on, in the server, before any program."""
    return guard.verifier(() if unittests is None else (unittests.Record,))


def hide() -> None:
    """Put all objects so far where the collector does not list them, and take away the way back."""
    guard.refuse_introspection()
    gc.freeze()
    vars(gc).pop("unfreeze", None)


def steps(
    front: Any,
    request: dict[str, Any],
    load: Callable[[], Any],
    deliver: Deliver,
    describe: Describe,
    during: guard.Verify,
    after: guard.Verify,
) -> list[Step]:
    """Return the steps of a program: load it, run its tests, report.

    `load` executes the program and returns its namespace. `deliver` sends a frame of `harness`.
    """
    loading = [front.attempt(load, describe), _loaded(deliver), _verified(after)]
    if request["kind"] == "unittest":
        return [*loading, _ready(deliver), *_class_steps(front, request, deliver, describe, during, after)]
    return [*loading, *_assert_steps(front, request, deliver, describe, after)]


def _assert_steps(
    front: Any, request: dict[str, Any], deliver: Deliver, describe: Describe, after: guard.Verify
) -> list[Step]:
    """Return the steps of single tests, or of their probe: the wrong ones, then a stub in the program."""
    entry_point, kind = request["entry_point"], request["kind"]
    kept: list[Any] = []

    def run_over(setup: str, texts: list[str], *, stub: bool) -> list[Step]:
        made = [_fetch(kept), front.attempt_on(front.space_maker(entry_point, setup), describe), _loaded(deliver),
                _verified(after)]  # fmt: skip
        if stub:
            made += [
                front.attempt_on(front.stubber(entry_point, front.guard.raising), describe),
                _loaded(deliver),
            ]
        for text in texts:
            made += [front.test_step(text, kind, describe), _verified(after, at_end=True), _reported(deliver)]
        return made

    wrong = run_over(*request["wrong"], stub=False) if request["wrong"] else []
    right = run_over(request["setup"], request["tests"], stub=request["stub"])
    return [_keep(kept), _ready(deliver), *wrong, *right]


def _class_steps(
    front: Any,
    request: dict[str, Any],
    deliver: Deliver,
    describe: Describe,
    during: guard.Verify,
    after: guard.Verify,
) -> list[Step]:
    """Return the steps of a unittest module, or of its probe.

    The probe's wrong tests come first, so that up to their end a program finds what it finds elsewhere.
    """
    entry_point, (text,), wrong = request["entry_point"], request["tests"], request["wrong"]
    kept: list[Any] = []

    def run_over(tests: str, stub: Callable[..., Any] | None, finish: Step) -> list[Step]:
        made = [_fetch(kept), front.attempt_on(front.module_maker(tests), describe), _loaded(deliver),
                _verified(after)]  # fmt: skip
        if stub is not None:
            made.append(front.attempt_on(front.stubber(entry_point, stub), describe))
        watched: list[Any] = []
        return [*made, front.watched(during, describe), _hold(watched), front.tests_run(describe),
                _verified(after, at_end=True), _ended(watched), finish]  # fmt: skip

    found: dict[str, list[str]] = {}
    first = [front.wrapped(entry_point), _keep(kept)]
    if not request["stub"]:
        return [*first, *run_over(text, None, _finished(lambda entries, _held: entries, deliver))]
    if wrong is not None:
        _, lines, names = wrong
        accepting = lambda entries, held: unittests.accepting(entries, held, lines, names)  # noqa: E731
        first += run_over(wrong[0], None, _finished(accepting, deliver))
    for kind, stub in (("raises", front.guard.raising), ("none", front.guard.none)):
        first += run_over(text, stub, _noted(kind, found))
    return [*first, _told(found, deliver)]


# steps that are hidden from the program


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


def _keep(kept: list[Any]) -> Step:
    """Return a step that keeps the namespace, the first part of the state."""

    def step(state: State) -> State:
        kept.append(state[0])
        return state

    return step


def _fetch(kept: list[Any]) -> Step:
    return lambda _state: (kept[0], None)


def _verified(verify: guard.Verify, *, at_end: bool = False) -> Step:
    def step(state: State) -> State:
        if not verify(not at_end):
            raise guard.trip(guard.PATCHED)
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


def _hold(watched: list[Any]) -> Step:
    """Return a step that holds what a run over a class is judged by, and lets only the run itself go on."""

    def step(state: State) -> State:
        watched.append(state[0])
        return (None if state[0] is None else state[0][0]), state[1]

    return step


def _ended(watched: list[Any]) -> Step:
    """Return a step that ends with (entries, assertions that held), and the error."""

    def step(state: State) -> State:
        if state[1] is not None:
            return None, state[1]
        return unittests.ended(*watched[0][1:]), None

    return step


def _finished(made_of: Callable[[Any, Any], Any], deliver: Deliver) -> Step:
    """Return a step that sends what is made of a class's entries and held assertions, or its error."""

    def step(state: State) -> State:
        value, error = state
        if error is None:
            deliver(b"V", made_of(*value))
        else:
            deliver(b"E", error)
        return state

    return step


def _noted(kind: str, found: dict[str, list[str]]) -> Step:
    """Return a step that notes which tests of a class ended well, for `_told`."""

    def step(state: State) -> State:
        value, error = state
        if error is None:
            found[kind] = sorted({name for name, status, _ in value[0] if status == "ok"})
        return state

    return step


def _told(found: dict[str, list[str]], deliver: Deliver) -> Step:
    def step(state: State) -> State:
        deliver(b"V", found)
        return state

    return step


# steps that the program can see, and what they run


def attempt(action: Callable[[], Any], describe: Describe) -> Step:
    """Return a step that ends with (value, None), or with (None, error) where the action fails."""

    def step(_state: State) -> State:
        try:
            return action(), None
        except BaseException as e:
            return None, describe(e)

    return step


def attempt_on(action: Callable[[dict[str, Any]], dict[str, Any]], describe: Describe) -> Step:
    """Return an attempt at an action on the namespace so far."""

    def step(state: State) -> State:
        try:
            return action(state[0]), None
        except BaseException as e:
            return None, describe(e)

    return step


def space_maker(entry_point: str, setup: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what makes the namespace of single tests: the program's names, less those that hide a builtin."""

    def make(namespace: dict[str, Any]) -> dict[str, Any]:
        space = {k: v for k, v in namespace.items() if k not in _BUILTINS or k == entry_point}
        space["__builtins__"] = dict(_BUILTINS)
        if entry_point in space:
            space[entry_point] = guard.inspected(space[entry_point], guard.lies)
        exec(compile(setup, "<setup>", "exec", dont_inherit=True), space)  # noqa: S102
        return space

    return make


def module_maker(text: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what executes a module of tests in the program's namespace, in which they replace names."""

    def make(namespace: dict[str, Any]) -> dict[str, Any]:
        exec(compile(text, "__test__.py", "exec", dont_inherit=True), namespace)  # noqa: S102
        return namespace

    return make


def wrapped(entry_point: str) -> Step:
    """Return a step that has the values of the program's function looked at."""

    def step(state: State) -> State:
        space = state[0]
        if entry_point in space:
            space[entry_point] = guard.inspected(space[entry_point], guard.lies)
        return space, None

    return step


def stubber(entry_point: str, stub: Callable[..., Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what puts a stub in the place of the program's function or method."""
    holder, _, method = entry_point.rpartition(".")

    def put(space: dict[str, Any]) -> dict[str, Any]:
        if holder:
            setattr(space[holder], method, stub)
        else:
            space[entry_point] = stub
        return space

    return put


def watched(verify: guard.Verify, describe: Describe) -> Step:
    """Return a step that prepares the class of tests in a namespace; see `unittests.watch_over`."""

    def step(state: State) -> State:
        try:
            return unittests.watch_over(state[0], verify), None
        except unittests.NoTests as e:
            return None, describe(e)

    return step


def tests_run(describe: Describe) -> Step:
    """Return a step that runs the tests of a class that was prepared."""

    def step(state: State) -> State:
        run, error = state
        if error is None:
            try:
                unittests.run_tests(run)
            except BaseException as e:
                error = describe(e)
        return None, error

    return step


def test_step(text: str, kind: str, describe: Describe) -> Step:
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
