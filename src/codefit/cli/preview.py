"""The preview in the terminal: training rows beside evaluation prompts, tokens coloured by the mask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from codefit.cli import show
from codefit.cli.recipe import resolve_recipe
from codefit.core.errors import InputError
from codefit.core.files import read_json, write_text
from codefit.core.recipe import load_recipe
from codefit.format.preview import shared_frame, visible
from codefit.format.preview_page import counts, render_preview, statement

_WIDE = 120
_STYLES = {  # (trained, odd token): neighbours differ, so that token boundaries are seen
    (True, False): "black on green",
    (True, True): "black on bright_green",
    (False, False): "default",
    (False, True): "default on grey23",
}
_SPECIAL = "bold magenta"


def load_preview(target: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Return what `format.json` of a run folder holds, or the same of a recipe that did not run."""
    if Path(target).is_dir():
        if overrides:
            raise InputError("a run is shown as it is", where="--set", todo="give a recipe instead of a run")
        path = Path(target) / "format.json"
        if not path.exists():
            raise InputError(
                "no formatted rows there", where=str(path), todo="run the recipe, or give it instead"
            )
        found = read_json(path)
        try:
            return _checked(found)
        except (KeyError, TypeError, AttributeError, ValueError) as e:
            raise InputError("not what a run writes", where=str(path), todo="run the recipe again") from e
    from codefit.pipeline.preview import preview_recipe

    with show.Live() as live:
        return preview_recipe(load_recipe(resolve_recipe(target), overrides), show.cache_folder(), live)


def _checked(found: Any) -> dict[str, Any]:
    """Render once, so that a damaged file is found before anything is printed."""
    statement(found)
    for preview in found["previews"]:
        _title(preview)
        _text(preview["tokens"], coloured=True)
        counts(preview, found["max_length"])
    return dict(found)


def show_preview(found: Mapping[str, Any], target: str, page: Path | None, as_json: bool) -> None:
    """Print the preview, and write it as a page where one is wanted."""
    if page:
        write_text(page, render_preview(found, f"What the model sees: {Path(target).name or target}"))
    if as_json:
        show.print_json(found)
        return
    console = show.console()
    console.print(Text(visible(statement(found))))
    if not found.get("curated", True):
        console.print("Rows as they are read: curation may still drop or change them.")
    coloured = console.color_system is not None
    console.print(_legend(coloured))
    rows = [_block(p, found, coloured) for p in found["previews"] if p["kind"] == "row"]
    prompts = [_block(p, found, coloured) for p in found["previews"] if p["kind"] != "row"]
    _print(console, rows, prompts)
    if page:
        click.echo(f"Page: {page}")


def _legend(coloured: bool) -> Text:
    if not coloured:
        return Text("Trained tokens stand between ⟦ and ⟧; the rest is context.")
    return Text.assemble(
        ("Trained tokens", _STYLES[True, False]),
        " are green, the rest is context; ",
        ("special tokens", _SPECIAL),
        " are bold; the shade changes at every token.",
    )


def _print(console: Console, rows: list[list[Any]], prompts: list[list[Any]]) -> None:
    """Print the two groups side by side on a wide terminal, else one below the other."""
    if console.width < _WIDE or not rows or not prompts:
        for part in (part for block in (*rows, *prompts) for part in block):
            console.print(part)
        return
    for i, row in enumerate(rows):
        beside = prompts[i] if i < len(prompts) else prompts[0]
        console.print(_beside(row, beside))
    for block in prompts[len(rows) :]:
        for part in block:
            console.print(part)


def _beside(left: list[Any], right: list[Any]) -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(ratio=3)
    table.add_column(ratio=2)
    for a, b in zip(left, right, strict=True):
        table.add_row(a, b)
    return table


def _block(preview: Mapping[str, Any], found: Mapping[str, Any], coloured: bool) -> list[Any]:
    """Return a preview's title, counts and tokens."""
    said = counts(dict(preview), found["max_length"])
    first = next((p for p in found["previews"] if p["kind"] != "row"), None)
    if preview["kind"] == "row" and first:
        start, end = shared_frame(dict(preview), first)
        said += f"; prompt frame shared with evaluation: first {start}, last {end} tokens"
    return [
        Rule(Text(_title(preview)), align="left"),
        Text(said, "italic"),
        _text(preview["tokens"], coloured),
    ]


def _title(preview: Mapping[str, Any]) -> str:
    origin = preview["source"] if preview["kind"] == "row" else preview["suite"]
    kind = "row" if preview["kind"] == "row" else "evaluation"
    return visible(f"{kind} {origin}: {preview['id']}").replace("\n", " ")


def _text(tokens: Sequence[Mapping[str, Any]], coloured: bool) -> Text:
    """Return tokens as text, styled by mask and turn, or with the trained part in brackets."""
    text = Text()
    for part, style in _marked(tokens) if not coloured else _styled(tokens):
        text.append(part, style)
    return text


def _styled(tokens: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for i, token in enumerate(tokens):
        style = _STYLES[bool(token["trained"]), i % 2 == 1]
        yield (
            visible(token["text"]),
            f"{style} {_SPECIAL}" if token["special"] and not token["trained"] else style,
        )


def _marked(tokens: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    before = False
    for token in tokens:
        if token["trained"] != before:
            yield "⟧" if before else "⟦", ""
        before = token["trained"]
        yield visible(token["text"]), ""
    if before:
        yield "⟧", ""
