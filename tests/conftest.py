"""What all tests share."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several workers with a thread per core each wait for one another; set before torch is imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
