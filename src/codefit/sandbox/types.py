"""What goes into the sandbox and what comes out: programs, limits, frames, runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from codefit.core.types import Outcome

Kind = Literal["calls", "exprs", "stdin", "asserts", "unittest"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use; each limit counts its whole tree of processes.

    CPU time is the limit that decides; wall time is a backstop, so that a busy machine does not turn
    a pass into a timeout. `test_cpu_s` is CPU seconds since the last frame, one figure or one a test;
    loading gets the largest of them, at least two seconds. `test_wall_s` is wall seconds since the last
    frame likewise, so that a program that sleeps costs one such limit; loading gets the largest.
    `wall_s` and `test_wall_s` None mean ten times the CPU limit in force, at least ten seconds; a test
    without a CPU limit of its own has then no wall limit of its own either.
    `output_bytes` bounds one test's encoded value or captured stdout. `file_mb` bounds one file and,
    where the sandbox has its own file system, all files together.
    """

    cpu_s: float = 10.0
    test_cpu_s: tuple[float, ...] | float | None = None
    wall_s: float | None = None
    test_wall_s: tuple[float, ...] | float | None = None
    memory_mb: int = 1024
    processes: int = 32
    output_bytes: int = 1_000_000
    total_output_bytes: int = 64_000_000
    file_mb: int = 64


@dataclass(frozen=True, slots=True)
class Runtime:
    """What programs find around them; everything else of the machine is out of their sight.

    `python` is another interpreter, such as that of an environment with libraries (None: the one that
    runs us). `preload` names modules that every program finds imported: programs are forks of a process
    that has them. `userland` shows the machine's `/usr/bin` read-only, and an `/etc` of our making.
    `loopback` gives 127.0.0.1 of the program's own network, where nothing else listens. `environment`
    adds variables, `copies` pairs of a file and where the process that imports the modules finds it.
    """

    python: str | None = None
    preload: tuple[str, ...] = ()
    userland: bool = False
    loopback: bool = False
    environment: tuple[tuple[str, str], ...] = ()
    copies: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WrongTests:
    """A unittest module with wrong expectations.

    `lines` are those of its wrong assertions, `names` the tests that are certain to come to one.
    """

    text: str
    lines: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrongAsserts:
    """The setup and the tests of a program of kind `exprs` or `asserts`, with wrong expectations."""

    setup: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """One hostile program and the tests to run it on, as data.

    `calls`: each test is a tuple of positional arguments (plain data) for `entry_point`;
    `Solution.method` makes a new `Solution()` for every call. `exprs`: each test is an expression,
    `asserts`: each is a text of statements, both evaluated in the module after `setup`.
    `stdin`: each test is the text on standard input of a fresh run as `__main__`.
    `unittest`: the one test is the text of a module with a class `TestCases`; its one frame is described
    in `codefit.sandbox.inside.unittests`.
    `guard` watches tests that are decided beside the program (always so for `asserts` and `unittest`).
    `stub` replaces the entry point: a run in which tests still pass shows that they were tampered with.
    The tests of `wrong` run before that, with the program's own function; their frames, one for `unittest`,
    are the first.
    `digest_over`: for each test, the bytes of an encoded value above which a digest of it leaves instead
    (None: never; never for values made of floats, which are compared with a tolerance).
    Raises `ValueError` for a program without tests, calls without entry point, or another hash seed than 0.
    """

    source: str
    kind: Kind
    tests: tuple[Any, ...] = ()
    entry_point: str | None = None
    setup: str = ""
    limits: Limits = field(default_factory=Limits)
    hash_seed: int = 0
    guard: bool = False
    stub: bool = False
    wrong: WrongTests | WrongAsserts | None = None
    digest_over: tuple[int | None, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"unknown kind of program {self.kind!r}")
        if not self.tests:
            raise ValueError("a program without tests cannot be judged")
        if self.kind in ("calls", "unittest") and not self.entry_point:
            raise ValueError(f"a program of kind {self.kind!r} needs an entry point")
        if self.hash_seed != 0:
            raise ValueError("the sandbox runs with hash seed 0 only")

    @property
    def frames(self) -> int:
        """The number of frames that a run to the end delivers."""
        return len(self.tests) + self.wrong_frames

    @property
    def wrong_frames(self) -> int:
        """The number of the first frames, which are those of wrong tests."""
        match self.wrong:
            case WrongAsserts(tests=tests):
                return len(tests)
            case WrongTests():
                return 1
        return 0


@dataclass(frozen=True, slots=True)
class Frame:
    """What one finished test delivered: a decoded value, or an error `ExceptionType: message`.

    A value that was too long to send is a `Digest`, where the program asked for one.
    `cpu_s` is the program's own figure, for information; limits are enforced outside.
    """

    value: Any = None
    error: str | None = None
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one program.

    `outcome` is `passed` when every test delivered a frame, whatever its value: rightness is judged by
    the caller. `frames` may be fewer than the tests, and hold no values where a caller took each of them
    as it came (`on_frame`), so that memory stays flat. `stopped` says that the caller asked to stop.
    `peak_mb` is MiB of the whole tree as far as the watcher saw it.
    """

    outcome: Outcome
    frames: tuple[Frame, ...]
    error: str | None
    cpu_s: float
    wall_s: float
    peak_mb: float | None
    stopped: bool


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One thing that isolation can be built from, whether it works here, and the line that fixes it."""

    name: str
    ok: bool
    detail: str
    fix: str | None = None


OnFrame = Callable[[int, Frame], bool]
