"""Write docs/cli.md from the help pages; a test fails when it is not up to date."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from codefit.cli.main import VERBS, main

_HEAD = """# Command line

Written by `scripts/write_cli_docs.py` from the help pages; do not edit by hand.

Exit codes: 0 done, 1 a bug of ours, 2 your input, 3 something is missing on this machine, 4 a gate
was not passed, 130 interrupted.
"""


def help_of(command: click.Command, name: str, parent: click.Context) -> str:
    """Return one help page as a fenced block, with those of its subcommands."""
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
    parts = [f"```text\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            if found:
                parts.append(f"### codefit {name} {sub}\n\n" + help_of(found, sub, context))
    return "\n".join(parts)


def render() -> str:
    """Return the whole page."""
    top = click.Context(main, info_name="codefit")
    pages = [_HEAD]
    for verb in VERBS:
        command = main.get_command(top, verb)
        if command is None:
            raise SystemExit(f"no verb {verb}")
        pages.append(f"## codefit {verb}\n\n" + help_of(command, verb, top))
    return "\n".join(pages)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "cli.md"
    target.write_text(render(), encoding="utf-8")
