"""The preview as one self-contained HTML file: no script, nothing asked from anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from codefit.format.preview import Preview, shared_frame, visible

_TEMPLATES = Path(__file__).parent / "templates"


def render_preview(found: Mapping[str, Any], title: str) -> str:
    """Return the previews of a run or recipe as HTML; the same previews give the same text.

    Rows are untrusted: everything is escaped, control characters are written out, and the page's
    content security policy lets no script run.
    """
    env = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    env.filters["visible"] = visible
    env.globals["lines"] = token_lines
    rows = [p for p in found["previews"] if p["kind"] == "row"]
    prompts = [p for p in found["previews"] if p["kind"] == "evaluation"]
    return env.get_template("preview.html.j2").render(
        title=title,
        statement=statement(found),
        rows=[(p, shared_frame(p, prompts[0]) if prompts else None) for p in rows],
        prompts=prompts,
        max_length=found["max_length"],
    )


def statement(found: Mapping[str, Any]) -> str:
    """Return the sentences on template and parity."""
    parity = found["parity"]
    said = f"Template {found['template_hash']}."
    if parity["checked"]:
        said += (
            f" Training and evaluation prefix are alike, token by token, on {parity['checked']:,} tasks of "
            f"{', '.join(parity['suites'])}"
        )
        rows = parity.get("rows") or {}
        said += f" and {sum(rows.values()):,} rows of {', '.join(sorted(rows))}." if rows else "."
    return said


def counts(preview: Preview, max_length: int) -> str:
    """Return a preview's counts of tokens as one line."""
    prefix, trained = preview["prefix_tokens"], preview["trained_tokens"]
    if preview["kind"] == "evaluation":
        return f"{prefix:,} prefix tokens"
    fits = "" if prefix + trained <= max_length else f"; over {max_length:,}: dropped"
    return f"{prefix:,} prefix tokens, {trained:,} trained tokens{fits}"


def token_lines(tokens: Sequence[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any], str, int]]:
    """Return (position, token, text before its line ends, line ends) of every token."""
    out = []
    position = 0
    for token in tokens:
        text = visible(token["text"])
        bare = text.rstrip("\n")
        out.append((position, token, bare, len(text) - len(bare)))
        position += len(token["ids"])
    return out
