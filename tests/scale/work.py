"""Functions that workers of every executor can import."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import write_text
from codefit.scale import Piece


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    raise InputError(f"{number} is no good", where="items", todo="give another")


def break_down(number: int) -> int:
    raise ZeroDivisionError(number)


def die(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), 9)
    time.sleep(0.01)
    return number


def tell_and_sleep(path: str) -> None:
    Path(f"{path}.{os.getpid()}").touch()
    time.sleep(60)


def join(piece: Piece) -> Mapping[str, Any]:
    """Write the inputs one after the other, with a word of the options between them."""
    text = piece.options["word"].join(path.read_text() for path in piece.inputs["texts"])
    write_text(piece.file("text.txt"), text)
    with (piece.folder.parent / "ran").open("a") as log:
        log.write(f"{piece.folder.name}\n")
    return {"chars": len(text)}
