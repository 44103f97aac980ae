"""`codefit env`: environments with the libraries that a benchmark's programs need."""

from __future__ import annotations

from pathlib import Path

import click

from codefit.cli import show


@click.group()
def env() -> None:
    """Create and find environments with a benchmark's libraries.

    They are apart from codefit's own; programs see them read-only in the sandbox.
    """


@env.command()
@click.argument("name", metavar="NAME")
@click.option("--path", type=click.Path(path_type=Path), help="Folder to make; default in codefit's cache.")
@click.option("--python", metavar="EXE", help="Interpreter of the version that the lock is for.")
@click.option(
    "--nltk-data", type=click.Path(path_type=Path), help="Folder of NLTK data to copy, not to download."
)
def create(name: str, path: Path | None, python: str | None, nltk_data: Path | None) -> None:
    """Create the environment NAME: exact versions from the lock, language data, a font cache.

    Run it again to go on after a failure; one that is complete is left as it is. Known: bigcodebench.
    """
    from codefit.suites.environment import create as make
    from codefit.suites.environment import default_folder, spec

    spec(name)
    folder = path or default_folder(name, show.cache_folder())
    found = make(name, folder, lambda text: click.echo(f"env {name}: {text}", err=True), python=python,
                 nltk_data=nltk_data)  # fmt: skip
    click.echo(f"Environment: {found.folder} ({found.fingerprint})")


@env.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_(as_json: bool) -> None:
    """List environments and where they are."""
    from codefit.core.errors import InputError, MissingPrerequisite
    from codefit.suites.environment import NAMES, default_folder, find

    rows: list[dict[str, str | None]] = []
    for name in NAMES:
        folder = default_folder(name, show.cache_folder())
        try:
            rows.append(
                {
                    "name": name,
                    "folder": str(folder),
                    "fingerprint": find(name, None, show.cache_folder()).fingerprint,
                }
            )
        except (InputError, MissingPrerequisite):
            rows.append({"name": name, "folder": str(folder), "fingerprint": None})
    if as_json:
        show.print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['name']}: {row['fingerprint'] or 'not created'} ({row['folder']})")


@env.command("lock")
@click.argument("name", metavar="NAME")
def lock_(name: str) -> None:
    """Print the exact versions of NAME's libraries, for an installation of your own."""
    from codefit.suites.environment import lock

    click.echo(lock(name), nl=False)
