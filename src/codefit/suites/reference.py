"""Expected values from the reference solution, computed in the sandbox once and kept on disk.

The cache is one gzip JSON Lines file, keyed by the content of reference and inputs. A value over
64 KiB leaves the sandbox as a digest where equality alone decides. One that is compared with a tolerance
must come whole; over 16 MiB it is not judged at all: such tests are left out by number and named.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codefit.core.errors import CodefitError, InputError
from codefit.core.files import atomic_path, digest, read_jsonl, without_surrogates
from codefit.core.types import Outcome
from codefit.sandbox.codec import Digest, decode, encode
from codefit.sandbox.sandbox import Sandbox
from codefit.sandbox.types import Frame, Limits, OnFrame, Program, Run
from codefit.suites.check import KEEP_BYTES
from codefit.suites.compare import wants_tolerance
from codefit.suites.oracles import may_digest

OUTPUT_BYTES_MAX = 16 * 1024 * 1024
TOTAL_OUTPUT_BYTES = 512 * 1024 * 1024
_VERSION = "3"
_LIMITS = Limits(
    cpu_s=240.0,
    test_cpu_s=60.0,
    memory_mb=4096,
    output_bytes=OUTPUT_BYTES_MAX,
    total_output_bytes=TOTAL_OUTPUT_BYTES,
)


@dataclass(frozen=True, slots=True)
class Source:
    """One reference program and the calls whose values are wanted.

    `rule` is its special oracle by the newest rules, `atol` the task's own tolerance, `content` the inputs
    as they stand in the data, for the cache's key.
    """

    key: tuple[str, str]
    program: str
    entry_point: str
    inputs: tuple[tuple[Any, ...], ...]
    rule: str | None
    atol: float
    content: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What the reference returned: per test an encoded value or a digest, and CPU seconds.

    `skipped` holds the numbers of tests that are not judged; `wants_atol[i]` says that value i is
    made of floats; `failure` is why there are no values at all.
    """

    values: tuple[bytes | Digest | None, ...] = ()
    cpu_s: tuple[float, ...] = ()
    wants_atol: tuple[bool, ...] = ()
    skipped: tuple[int, ...] = ()
    failure: str | None = None

    def outputs(self) -> Iterator[Any]:
        """Yield the decoded value (or digest) of every test that is judged."""
        for value in self.values:
            if isinstance(value, bytes):
                yield decode(value)
            elif value is not None:
                yield value


Expectations = Mapping[tuple[str, str], Expected]


class _Collector:
    """Keeps the frames of one reference run in the form that goes to disk."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.values: dict[int, bytes | Digest] = {}
        self.cpu_s: dict[int, float] = {}
        self.wants: dict[int, bool] = {}
        self.skipped: list[int] = []
        self.failure: str | None = None
        self._numbers = list(range(len(source.inputs)))
        self._whole: set[int] = set()

    def program(self) -> Program:
        source = self.source
        short = may_digest(source.rule, source.atol)
        return Program(
            source.program,
            "calls",
            tuple(source.inputs[i] for i in self._numbers),
            entry_point=source.entry_point,
            limits=_LIMITS,
            digest_over=tuple(KEEP_BYTES if short and i not in self._whole else None for i in self._numbers),
        )

    def on_frame(self, index: int, frame: Frame) -> bool:
        number = self._numbers[index]
        if frame.error is not None:
            self.failure = f"test {number} of the reference ends with {frame.error}"
            return False
        value = frame.value is not None if self.source.rule == "not_none" else frame.value
        self.cpu_s[number] = round(frame.cpu_s, 4)
        self.wants[number] = wants_tolerance(value)
        if isinstance(value, Digest):
            # A tolerance met in an earlier test holds for this one too, so the value itself is needed.
            if any(self.wants[n] for n in self.wants if n <= number):
                self._whole.add(number)
            self.values[number] = value
        else:
            self.values[number] = encode(value)
        return True

    def again(self, run: Run) -> bool:
        """Take note of how a run ended; True if the tests behind a skipped one are still to run."""
        if self.failure is not None:
            return False
        if run.outcome is Outcome.SANDBOX_FAILED:
            raise CodefitError(f"the sandbox failed: {run.error}", where=f"reference of {self.source.key[0]}")
        done = [n for n in self._numbers if n in self.values]
        rest = self._numbers[len(done) :]
        if run.outcome is Outcome.OUTPUT_LIMIT and rest:
            self.skipped.append(rest[0])
            self._numbers = rest[1:]
            return bool(self._numbers)
        if run.outcome is not Outcome.PASSED or rest:
            self.failure = f"the reference ends with {run.outcome.value}: {run.error or 'no reason given'}"
            return False
        self._numbers = sorted(n for n in self._whole if isinstance(self.values[n], Digest))
        for n in self._numbers:
            del self.values[n]
        return bool(self._numbers)

    def expected(self) -> Expected:
        if self.failure is not None:
            return Expected(failure=without_surrogates(self.failure))
        numbers = [n for n in range(len(self.source.inputs)) if n in self.values]
        return Expected(
            tuple(self.values[n] for n in numbers),
            tuple(self.cpu_s[n] for n in numbers),
            tuple(self.wants[n] for n in numbers),
            tuple(self.skipped),
        )


def expectations(
    sources: Sequence[Source],
    sandbox: Sandbox,
    folder: Path | None,
    *,
    runtime: str,
    progress: Callable[[int, int], None] | None = None,
) -> dict[tuple[str, str], Expected]:
    """Return the expected values of every source, from the cache folder or from the sandbox.

    `runtime` names what decides a value beside the content. Without `folder` nothing is kept.
    Failures of a reference are not kept. Raises `CodefitError` where the sandbox itself fails.
    """
    path = folder / f"reference-{digest(_VERSION, runtime)}.jsonl.gz" if folder else None
    kept = _load(path) if path is not None and path.exists() else {}
    keys = {s.key: _key(s) for s in sources}
    new = _compute([s for s in sources if keys[s.key] not in kept], sandbox, progress)
    if new and path is not None:
        kept |= {keys[key]: expected for key, expected in new.items() if expected.failure is None}
        _save(path, kept)
    return {key: new[key] if key in new else kept[name] for key, name in keys.items()}


def _key(source: Source) -> str:
    return digest(source.program, source.entry_point, repr(source.rule), repr(source.atol), source.content)


def _compute(
    sources: Sequence[Source], sandbox: Sandbox, progress: Callable[[int, int], None] | None
) -> dict[tuple[str, str], Expected]:
    waiting = [_Collector(s) for s in sorted(sources, key=lambda s: -len(s.inputs))]
    done: dict[tuple[str, str], Expected] = {}
    while waiting:
        batch, waiting = waiting, []
        jobs: list[tuple[Program, OnFrame | None]] = [(c.program(), c.on_frame) for c in batch]
        for index, run in sandbox.map(jobs):
            collector = batch[index]
            if collector.again(run):
                waiting.append(collector)
                continue
            done[collector.source.key] = collector.expected()
            if progress:
                progress(len(done), len(sources))
    return {s.key: done[s.key] for s in sources}


def _save(path: Path, found: Mapping[str, Expected]) -> None:
    with atomic_path(path) as temp, temp.open("wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as f:
            for key, expected in found.items():
                f.write(json.dumps(_as_json(key, expected)).encode() + b"\n")


def _as_json(key: str, expected: Expected) -> dict[str, Any]:
    values = [
        {"digest": v.hex, "size": v.size} if isinstance(v, Digest) else base64.b64encode(v or b"").decode()
        for v in expected.values
    ]
    return {
        "key": key,
        "values": values,
        "cpu_s": expected.cpu_s,
        "wants_atol": [int(w) for w in expected.wants_atol],
        "skipped": expected.skipped,
        "failure": expected.failure,
    }


def _load(path: Path) -> dict[str, Expected]:
    """Return what the cache holds, up to damage if there is any: the rest is computed anew."""
    found: dict[str, Expected] = {}
    try:
        for _, row in read_jsonl(path):
            found[row["key"]] = _from_json(row)
    except (InputError, KeyError, TypeError, ValueError):
        pass
    return found


def _from_json(row: dict[str, Any]) -> Expected:
    values = tuple(
        Digest(v["digest"], int(v["size"])) if isinstance(v, dict) else base64.b64decode(v)
        for v in row["values"]
    )
    return Expected(
        values=values,
        cpu_s=tuple(float(s) for s in row["cpu_s"]),
        wants_atol=tuple(bool(w) for w in row["wants_atol"]),
        skipped=tuple(int(n) for n in row["skipped"]),
        failure=row["failure"],
    )
