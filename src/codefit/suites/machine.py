"""The machine that verdicts were found on, for the record: nothing here decides one."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def machine_now() -> dict[str, Any]:
    """Return CPU model, cores, kernel, Python and the load of the last minute."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def cpu_model() -> str:
    """Return the CPU's name, or its architecture where the kernel does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
