"""Notices a program that meddles with tests which have to be decided in its own process.

Everything here is captured in the server, before any program; the far side of a fork takes it out of
the module, so that no frame or module that a program can reach leads to it. Four means: a snapshot of
what tests rely on, compared again after loading and after each test; assertions that must still bite; a
look at each value that the program's function returns, for objects that lie about equality; and an
audit hook that refuses to list the interpreter's objects and frames.
A process that was tampered with ends at once with a status of its own.
Not covered: a program that rewrites the interpreter's memory through `ctypes`. What a cheat of a new
kind gains is bounded by the second run with the entry point replaced, which the caller orders.
"""

from __future__ import annotations

import builtins
import functools
import sys
from codecs import lookup_error
from collections.abc import Callable, Iterable
from os import _exit
from types import FunctionType, GetSetDescriptorType, MethodDescriptorType, ModuleType, WrapperDescriptorType
from typing import Any

PATCHED, LYING = 98, 97
REASONS = {
    PATCHED: "the program changed what its tests are judged with",
    LYING: "the program returned an object that lies about equality",
}
# only where the server has these modules
_CLASSES = {
    "unittest.case": ("TestCase", "IsolatedAsyncioTestCase", "_Outcome", "_AssertRaisesContext",
                      "_BaseTestCaseContext", "_AssertRaisesBaseContext"),
    "unittest.async_case": ("IsolatedAsyncioTestCase",),
    "unittest.suite": ("TestSuite", "BaseTestSuite"),
    "unittest.loader": ("TestLoader",),
    "unittest.result": ("TestResult",),
    "unittest.mock": ("NonCallableMock", "CallableMixin", "_patch", "_Call"),
}  # fmt: skip
# what tests compare with, where these libraries are imported
_FUNCTIONS: dict[str, tuple[str, ...] | None] = {
    "unittest": (),
    "unittest.case": None,
    "unittest.loader": None,
    "unittest.suite": None,
    "unittest.result": None,
    "unittest.mock": None,
    "math": None,
    "numpy": ("allclose", "isclose", "array_equal", "array_equiv", "all", "any", "isnan"),
    "numpy.testing": None,
    "pandas.testing": None,
    "pandas._testing": None,
}
# tests replace these for a while, and some forget to put them back
_OFTEN_PATCHED = frozenset({"open", "print", "input", "exit", "quit", "__import__", "copyright", "credits", "license",
                            "help", "_"})  # fmt: skip
# for people, or how long a message is
_OF_NO_CONSEQUENCE = frozenset({"__doc__", "__annotations__", "maxDiff", "longMessage"})
_REFUSED = frozenset(
    {
        "gc.get_objects",
        "gc.get_referrers",
        "sys._current_frames",
        "sys._current_exceptions",
        "sys.addaudithook",
    }
)
_ATOMS = frozenset({int, str, bytes, bool, float, complex, type(None)})
_ITERATED = frozenset({list, tuple, set, frozenset})
_LOOKED_AT = 2000
_UNEQUAL: tuple[Any, ...] = (0, 1, 2.5, "", "x", b"", (), [], [1], {}, {"a": 1}, None)
_ORDERED = (0, "", ())
_BUILT_IN = (WrapperDescriptorType, MethodDescriptorType, GetSetDescriptorType, type(None))
_MOCKS = "unittest.mock"
SURROGATES = "surrogatepass"  # how text is encoded that leaves the process

Entry = tuple[Any, str, Any, Any]
Verify = Callable[[bool], bool]


def code_of(value: Any) -> Any:
    """Return the code of a function or of a class's or static method, None for anything else."""
    inner = value.__func__ if type(value) in (classmethod, staticmethod) else value
    return inner.__code__ if type(inner) is FunctionType else None


def _entries(holder: Any, names: Iterable[str] | None) -> list[Entry]:
    space = vars(holder)
    chosen = [n for n in (space if names is None else names) if n in space]
    kept = [n for n in chosen if isinstance(holder, type) or callable(space[n]) or n in dir(builtins)]
    return [(holder, n, space[n], code_of(space[n])) for n in kept if n not in _OF_NO_CONSEQUENCE]


def _classes() -> list[type]:
    modules = ((sys.modules.get(name), names) for name, names in _CLASSES.items())
    return [vars(m)[n] for m, names in modules if m for n in names if n in vars(m)]


def verifier(own: Iterable[type] = ()) -> Verify:
    """Return a function that says whether all is as it was; True as argument checks every builtin too.

    `own` are further classes to watch.
    """
    classes = [*_classes(), *own]
    holders = [(sys.modules[name], names) for name, names in _FUNCTIONS.items() if name in sys.modules]
    entries = tuple(
        e for holder, names in (*((c, None) for c in classes), *holders) for e in _entries(holder, names)
    )
    sizes = tuple((cls, len(vars(cls))) for cls in classes)
    builtin = tuple(_entries(builtins, None))
    own_modules = tuple((name, sys.modules[name]) for name in _FUNCTIONS if name in sys.modules)
    modules, often = sys.modules, _OFTEN_PATCHED
    spaces = tuple(vars(h) for h in (*classes, *(m for m, _ in holders), builtins))
    surrogates = lookup_error(SURROGATES)

    def same(entry: Entry) -> bool:
        holder, name, value, code = entry
        return vars(holder).get(name) is value and (code is None or code_of(value) is code)

    def verify(strictly: bool) -> bool:
        return (
            all(type(key) is str for space in spaces for key in space)
            and lookup_error(SURROGATES) is surrogates
            and all(modules.get(name) is module for name, module in own_modules)
            and all(len(vars(cls)) == size for cls, size in sizes)
            and all(same(e) for e in entries)
            and all(same(e) for e in builtin if strictly or e[1] not in often)
        )

    return verify


def refuse_introspection() -> None:
    """Install, for good, the audit hook that refuses to list objects and frames."""
    refused = _REFUSED

    def hook(event: str, _arguments: tuple[Any, ...]) -> None:
        if event in refused:
            raise RuntimeError(f"{event} is not available beside tests")

    sys.addaudithook(hook)


def trip(status: int, leave: Callable[[int], Any] = _exit) -> BaseException:
    """End the process: it was tampered with. To be raised, in case the end itself was taken away."""
    leave(status)
    return SystemExit(status)


class StubCalled(BaseException):
    """What a stub in the place of the entry point raises."""


def raising(*_args: Any, **_kwargs: Any) -> Any:
    """Stand in for the program's function, and raise."""
    raise StubCalled


def none(*_args: Any, **_kwargs: Any) -> Any:
    """Stand in for the program's function, and return None."""
    return None


def inspected(function: Any, is_lying: Callable[[Any], bool]) -> Any:
    """Return a function that looks at what the program's function returns; anything else as it is."""
    if type(function) is not FunctionType:
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        value = function(*args, **kwargs)
        if is_lying(value):
            raise trip(LYING)
        return value

    return call


def lies(value: Any) -> bool:
    """Return True if a value, or one inside it, claims to equal what it can't."""
    pending, left = [value], _LOOKED_AT
    while pending and left:
        left -= 1
        item = pending.pop()
        kind = type(item)
        if kind in _ATOMS:
            continue
        if kind in _ITERATED:
            pending += [*item][:left]
        elif kind is dict:
            pending += [*item.values()][:left]
            pending += [*item][:left]
        elif _may_lie(kind) and _is_liar(item, kind):
            return True
    return False


def _may_lie(kind: type) -> bool:
    """Return True if a comparison of this type is a function that no library brought along."""
    for name in ("__eq__", "__ne__", "__lt__", "__gt__", "__contains__", "__class__"):
        for cls in kind.__mro__:
            if name not in vars(cls):
                continue
            method = vars(cls)[name]
            function = method.fget if isinstance(method, property) else method
            if not isinstance(method, _BUILT_IN) and not _unset(method) and not _of_a_library(function):
                return True
            break
    return False


def _unset(method: Any) -> bool:
    """Return True for a comparison of a mock that nobody configured: asking it would be recorded."""
    return type(method).__name__ == "MagicProxy" and type(method).__module__ == _MOCKS


def _of_a_library(function: Any) -> bool:
    space = getattr(function, "__globals__", None)
    if space is None:
        return False
    module = sys.modules.get(space.get("__name__", ""))
    if type(module) is not ModuleType or vars(module) is not space or module.__name__ == _MOCKS:
        return False
    return getattr(module, "__spec__", None) is not None


def _is_liar(value: Any, kind: type) -> bool:
    lying_class = any(isinstance(vars(c).get("__class__"), property) for c in kind.__mro__)
    if lying_class and all(c.__module__ != _MOCKS for c in kind.__mro__):
        return True
    if _says(lambda: value == object()) or _says(lambda: object() in value):
        return True
    equal = sum(_says(lambda other=other: value == other) for other in _UNEQUAL)  # type: ignore[misc]
    unlike = sum(_denies(lambda other=other: value != other) for other in _UNEQUAL)  # type: ignore[misc]
    both = any(_says(lambda o=o: value < o) and _says(lambda o=o: value > o) for o in _ORDERED)  # type: ignore[misc]
    return equal > 1 or unlike > 1 or both


def _denies(claim: Callable[[], Any]) -> bool:
    try:
        return claim() is False
    except Exception:
        return False


def _says(claim: Callable[[], Any]) -> bool:
    try:
        return claim() is True
    except Exception:
        return False
