"""Programs as files for tools that read files, and the tools themselves."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

INSTALL = "pip install 'codefit[analyse]'"


def run_tool(name: str) -> list[str]:
    """Return the command of a tool that is installed beside us, empty where it is not."""
    return [sys.executable, "-m", name] if find_spec(name) is not None else []


def version_of(name: str) -> str | None:
    """Return the version of an installed tool, None where it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def write_programs(programs: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Write programs as numbered files, once; return the key of each file name."""
    names = {f"p{number:06}.py": key for number, key in enumerate(programs)}
    for name, key in names.items():
        path = folder / name
        if not path.exists():
            path.write_text(programs[key].rstrip() + "\n", encoding="utf-8", errors="replace")
    return names
