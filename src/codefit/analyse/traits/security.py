"""Security of programs: bandit's findings by severity, and imports that are not known to exist.

Programs are parsed, never imported or run. bandit is a process of its own.
Not covered: whether a finding can be exploited; what a linter cannot see.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

from codefit.analyse.traits.figures import Trait
from codefit.analyse.traits.files import run_tool, write_programs
from codefit.core.errors import CodefitError
from codefit.core.files import read_json

_KNOWN = Path(__file__).parents[1] / "data" / "known_modules.json"
_SKIPPED = "B101"  # assert: part of the task's language here
SEVERITIES = ("high", "medium", "low")
# standard modules that are safe to import here, to see which names they have
_LOOKED_INTO = frozenset(
    ["bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq", "itertools",
     "json", "math", "operator", "random", "re", "statistics", "string", "typing"]
)  # fmt: skip
TRAITS = (
    *(
        Trait(f"bandit_{s}", "security", f"bandit findings of {s} severity per program", "lower")
        for s in SEVERITIES
    ),
    Trait("unknown_imports", "security", "imports per program that are not known to exist", "lower"),
)
Measured = dict[str, dict[str, float]]


def security(programs: Mapping[str, str], folder: Path) -> Measured:
    """Return the figures of programs that parse, by key; bandit's where it is installed."""
    found = {key: {"unknown_imports": float(len(unknown_imports(s)))} for key, s in programs.items()}
    for key, values in bandit(programs, folder).items():
        found[key] |= values
    return found


def unknown_imports(source: str) -> list[str]:
    """Return imported modules, and names of some standard modules, that are not known to exist.

    Known are the standard library of this Python, BigCodeBench's libraries and the best-known others
    (`analyse/data/known_modules.json`): an unknown one may exist all the same, but a reader should look.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if not _exists(a.name)]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if not _exists(node.module):
                found.append(node.module)
            elif node.module in _LOOKED_INTO:
                module = import_module(node.module)
                names = [a.name for a in node.names if a.name != "*"]
                found += [f"{node.module}.{n}" for n in names if not hasattr(module, n)]
    return found


def _exists(module: str) -> bool:
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in known_modules()


@cache
def known_modules() -> frozenset[str]:
    """Return the well-known modules beside the standard library."""
    return frozenset(read_json(_KNOWN)["modules"])


def bandit(programs: Mapping[str, str], folder: Path) -> Measured:
    """Return bandit's findings per program by severity, whatever its `nosec` comments say."""
    if not run_tool("bandit"):
        return {}
    names = write_programs(programs, folder)
    command = [*run_tool("bandit"), "-q", "-r", str(folder), "-f", "json", "--exit-zero", "--ignore-nosec"]
    done = subprocess.run(
        [*command, "-s", _SKIPPED],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    try:
        results = json.loads(done.stdout)["results"]
    except (ValueError, KeyError, TypeError) as e:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise CodefitError(
            f"bandit said no result but: {said[:200]}", todo="install another version of bandit"
        ) from e
    counts: Measured = {key: {f"bandit_{s}": 0.0 for s in SEVERITIES} for key in programs}
    for fault in results:
        severity = str(fault["issue_severity"]).lower()
        if severity in SEVERITIES:
            counts[names[Path(fault["filename"]).name]][f"bandit_{severity}"] += 1
    return counts
