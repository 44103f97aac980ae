"""Processes that end with the one that started them."""

from __future__ import annotations

import os
import signal
import sys

PARENT = "CODEFIT_PARENT"


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, so that kill -9 of a run leaves none behind.

    The parent's number stands in the environment; this process's own takes its place there, for its
    children. Linux only: elsewhere the processes of a killed run go on until their next message fails.
    """
    expected = os.environ.get(PARENT)
    os.environ[PARENT] = str(os.getpid())
    if sys.platform != "linux":
        return
    from codefit.sandbox.inside import kernel

    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if expected is not None and expected != str(os.getppid()):
        os._exit(1)  # it died before the call
