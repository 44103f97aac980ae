"""Does the hub answer, and what of it is here already."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

from codefit.hub.client import Hub

_TIMEOUT_S = 5.0


def answers(hub: Hub) -> tuple[str | None, float]:
    """Return (what is wrong or None, seconds) of one small request; the token is not sent."""
    began = time.monotonic()
    request = urllib.request.Request(f"{hub.endpoint}/api/models?limit=1", headers={"User-Agent": "codefit"})
    fault = None
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            if not isinstance(json.loads(answer.read(1 << 20)), list):
                fault = "answers, but not like a hub"
    except urllib.error.HTTPError as e:
        fault = f"answers with error {e.code}"
    except urllib.error.URLError as e:
        fault = f"cannot be reached ({e.reason})"
    except (OSError, ValueError) as e:
        fault = f"answers, but not like a hub ({type(e).__name__})"
    return fault, time.monotonic() - began


def kept(hub: Hub) -> str:
    """Return how many models and datasets lie in the cache, as words."""
    models, datasets = (sum(1 for _ in hub.cache.glob(f"{kind}s--*")) for kind in ("model", "dataset"))
    return f"{models} models and {datasets} datasets"
