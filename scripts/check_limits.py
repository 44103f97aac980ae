"""Check the size of modules and functions, the floors of the rooms, and import cycles.

Limits: module 400 lines, function 60 lines (docstrings included). Complexity is ruff's.
Floors: a room imports only from floors below its own; rooms on one floor don't know each other.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "codefit"
MODULE_LINES, FUNCTION_LINES = 400, 60
FLOORS = [
    {"core"},
    {"sandbox", "micro", "hub"},
    {"suites", "format", "plan", "score", "scale", "models"},
    {"sources", "curate", "train", "generate"},
    {"methods", "analyse"},
    {"report", "publish"},
    {"pipeline"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def sizes(path: Path, tree: ast.Module, text: str) -> list[str]:
    """Return what is too long."""
    found = []
    lines = text.count("\n")
    if lines > MODULE_LINES:
        found.append(f"{path}: {lines} lines, over {MODULE_LINES}")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"{path}:{node.lineno}: {node.name} has {length} lines, over {FUNCTION_LINES}")
    return found


def imports(tree: ast.Module) -> set[str]:
    """Return the codefit modules that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{a.name}" for a in node.names}
    return {name for name in found if name.startswith("codefit.")}


def layers(path: Path, used: set[str]) -> list[str]:
    """Return imports that go up or sideways."""
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if room not in LEVEL:
        return [] if room in ("__init__", "__main__", "recipes") else [f"{path}: room '{room}' has no floor"]
    found = []
    for name in sorted(used):
        other = name.split(".")[1]
        if other == room or other not in LEVEL:
            continue
        if LEVEL[other] >= LEVEL[room]:
            found.append(f"{path}: {room} imports {name}, which is not below it")
    return found


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return one import cycle between modules, if there is one."""
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done or name not in graph:
            return []
        path.append(name)
        for other in sorted(graph[name]):
            if found := visit(other):
                return found
        path.pop()
        done.add(name)
        return []

    for name in sorted(graph):
        if found := visit(name):
            return found
    return []


def main() -> int:
    """Print every fault and return how many there are, capped for an exit code."""
    found: list[str] = []
    graph: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        used = imports(tree)
        found += sizes(path, tree, text) + layers(path, used)
        name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        # A part that names its own package (`from codefit.pipeline import data`) reaches a sibling.
        graph[name] = {u for u in used if u != name and not name.startswith(f"{u}.")}
    if loop := cycle(graph):
        found.append(f"import cycle: {' -> '.join(loop)}")
    for line in found:
        print(line)
    print(f"limits: {len(graph)} modules, {len(found)} faults")
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main())
