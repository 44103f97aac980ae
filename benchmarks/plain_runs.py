"""The plain reference of `benchmarks/verify.py`: one fresh `python -I` process for every test, judged simply.

Each process runs inside a bubblewrap of its own (no network, no files but the interpreter's, 20 CPU seconds,
2 GiB of address space), because the programs are hostile. Nothing of codefit runs or judges here: tokens are
compared one by one, and numbers written with a point may differ by 1e-6. What a test printed or returned is
kept as text, so that a difference can be read.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

CPU_S, WALL_S, MEMORY = 20, 90, 2 << 30
_OUTPUT_BYTES = 20_000_000
_PRELUDE = """\
from typing import *
from collections import *
from itertools import *
from functools import *
from heapq import *
from bisect import *
from operator import *
from math import *
from string import *
import collections, itertools, functools, heapq, bisect, operator, math, string, random, re, sys, datetime
from math import inf, gcd, sqrt, ceil, floor, comb, isqrt, log2
from functools import reduce, cache, lru_cache
"""
_DRIVER = """
import json as _json, sys as _sys
_args = _json.loads(_sys.stdin.read())
_value = {call}(*_args)
_sys.stdout.write(chr(10) + "RESULT " + _json.dumps(_value, default=list))
"""
_POINT = re.compile(r"[+-]?\d*\.\d*(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Case:
    """One program with its tests; `name` is the function that is called, None for standard input."""

    source: str
    name: str | None
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]


@dataclass(frozen=True)
class Result:
    """What one process did: `passed`, `wrong`, `error`, `timeout` or `silent`, and the output as text."""

    outcome: str
    text: str
    test: int


def command() -> list[str]:
    """Return the command line of one isolated, plain interpreter."""
    places = ("/usr", "/lib", "/lib64", "/bin", sys.base_prefix, sys.prefix)
    bound = [x for p in dict.fromkeys(places) if os.path.exists(p) for x in ("--ro-bind", p, p)]
    return [
        "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", *bound,
        "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/tmp",
        "prlimit", f"--cpu={CPU_S}", f"--as={MEMORY}", "--fsize=10000000", "--nproc=4096",
        sys.executable, "-I", "-c",
    ]  # fmt: skip


def run(source: str, text: str) -> tuple[str, str]:
    """Run a program on standard input in a process of its own; return (outcome, standard output)."""
    with tempfile.TemporaryFile() as given:  # a file, as judges give it: some programs ask for its size
        given.write(text.encode("utf-8", "replace"))
        given.seek(0)
        process = subprocess.Popen(
            [*command(), source],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    try:
        out, err = process.communicate(timeout=WALL_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "timeout", ""
    shown = out[:_OUTPUT_BYTES].decode("utf-8", "replace")
    if process.returncode in (0, None):
        return "ran", shown
    killed = process.returncode in (
        -signal.SIGXCPU,
        128 + signal.SIGXCPU,
        -signal.SIGKILL,
        128 + signal.SIGKILL,
    )
    return ("timeout", "") if killed else ("error", err[-400:].decode("utf-8", "replace"))


def first_failure(case: Case) -> Result | None:
    """Run the tests one after another, each in a fresh process; return the first that fails, or None."""
    for i, (given, expected) in enumerate(zip(case.inputs, case.outputs, strict=True)):
        if case.name is None:
            outcome, text = run(case.source, given)
            right = outcome == "ran" and same_tokens(expected, text)
        else:
            source = f"{_PRELUDE}\n{case.source}\n{_DRIVER.format(call=case.name)}"
            outcome, text = run(source, json.dumps(given))
            text = text.rpartition("\nRESULT ")[2] if outcome == "ran" else text
            right = outcome == "ran" and _same_value(expected, text)
        if not right:
            return Result("wrong" if outcome == "ran" else outcome, text[:2000], i)
    return None


def same_tokens(expected: str, got: str) -> bool:
    """Compare token by token; numbers written with a point may differ by 1e-6, absolute or relative."""
    want, have = expected.split(), got.split()
    return len(want) == len(have) and all(w == h or _near(w, h) for w, h in zip(want, have, strict=True))


def _near(want: str, have: str) -> bool:
    if not _POINT.fullmatch(want):
        return False
    try:
        a, b = float(want), float(have)
    except ValueError:
        return False
    return abs(a - b) <= 1e-6 * max(1.0, abs(a))


def _same_value(expected: Any, text: str) -> bool:
    try:
        got = json.loads(text)
    except ValueError:
        return False
    readings = [expected]
    if isinstance(expected, list) and len(expected) == 1:
        readings.append(expected[0])
    return any(_equal(reading, got) for reading in readings)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(v, b[k]) for k, v in a.items())
    if isinstance(a, float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6)
    return bool(a == b)
