"""`codefit recipe`: bundled recipes, and the check of your own."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from codefit.cli import show
from codefit.cli.check import recipe_faults
from codefit.core.errors import InputError, InputErrors, did_you_mean
from codefit.core.recipe import Recipe, load_recipe, to_yaml


def bundled() -> dict[str, Path]:
    """Return the bundled recipes by name."""
    folder = Path(str(resources.files("codefit") / "recipes"))
    return {p.stem: p for p in sorted(folder.glob("*.yaml"))}


def resolve_recipe(name: str) -> Path:
    """Return the recipe file of a path or of a bundled name; raises `InputError`."""
    path = Path(name)
    if path.is_file():
        return path
    known = bundled()
    stem = path.name.removesuffix(".yaml").removesuffix(".yml")
    if stem in known and (str(path) == path.name or path.parent.name == "recipes"):
        return known[stem]
    hint = did_you_mean(stem, known) or f"bundled: {', '.join(known)}"
    raise InputError(f"no recipe '{name}'", where=name, todo=f"give a file, or a bundled name; {hint}")


@click.group()
def recipe() -> None:
    """List, show, copy and check recipes."""


@recipe.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_recipes(as_json: bool) -> None:
    """List the bundled recipes."""
    loaded = {name: load_recipe(path) for name, path in bundled().items()}
    if as_json:
        show.print_json([{"name": n, "title": r.title} for n, r in loaded.items()])
        return
    for name, r in loaded.items():
        click.echo(f"{name}: {r.title}")


@recipe.command("show")
@click.argument("name")
@click.option("--resolved", is_flag=True, help="Every value spelled out.")
def show_recipe(name: str, resolved: bool) -> None:
    """Print a recipe with its annotations."""
    path = resolve_recipe(name)
    click.echo(to_yaml(load_recipe(path)) if resolved else path.read_text(encoding="utf-8"), nl=False)


@recipe.command("copy")
@click.argument("name")
@click.argument("target", type=click.Path(path_type=Path))
def copy_recipe(name: str, target: Path) -> None:
    """Copy a bundled recipe to a file of your own."""
    if target.exists():
        raise InputError("exists already", where=str(target), todo="choose another file")
    target.write_text(resolve_recipe(name).read_text(encoding="utf-8"), encoding="utf-8")
    click.echo(f"Wrote {target}")


@recipe.command("check")
@click.argument("name")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a recipe value.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check_recipe(name: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check a recipe; all its errors at once, by file and line. The data files need not be there."""
    path = resolve_recipe(name)
    loaded = load_recipe(path, overrides)
    if found := recipe_faults(loaded, path):
        raise InputErrors(found)
    if as_json:
        arms, suites = [a.name for a in loaded.arms], [s.name for s in loaded.evaluate]
        show.print_json({"name": loaded.name, "arms": arms, "suites": suites, "errors": []})
        return
    click.echo(f"{loaded.name}: {len(loaded.arms)} arms, {len(loaded.evaluate)} suites, no errors")


@recipe.command("schema")
def schema() -> None:
    """Print the JSON schema of recipes."""
    show.print_json(Recipe.model_json_schema())
