"""Whether the second engine's libraries are there; loads none of them."""

from __future__ import annotations

import importlib.util

from codefit.core.errors import MissingPrerequisite


def require_trl() -> None:
    """Raise `MissingPrerequisite` where the trl extra is not installed."""
    missing = [m for m in ("trl", "accelerate", "datasets") if importlib.util.find_spec(m) is None]
    if missing:
        raise MissingPrerequisite(
            f"train.engine trl needs {', '.join(missing)}", todo="pip install 'codefit[trl]'"
        )
