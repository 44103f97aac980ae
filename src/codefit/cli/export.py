"""`codefit export`: leave with a model."""

from __future__ import annotations

from pathlib import Path

import click

from codefit.cli import show
from codefit.core.errors import InputError


@click.group()
def export() -> None:
    """Leave with a model."""


@export.command()
@click.option(
    "--model", required=True, help="The start model: a folder, or owner/name[@revision] on the hub."
)
@click.option(
    "--adapter", "adapter_name", required=True, help="The LoRA adapter: a folder, or owner/name on the hub."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option(
    "--nf4", is_flag=True, help="The adapter was trained over 4-bit weights (qlora): merge into those."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def merge(model: str, adapter_name: str, out: Path, nf4: bool, as_json: bool) -> None:
    """Merge a LoRA adapter into its model: a folder that plain transformers loads."""
    from codefit.core.recipe import ModelSettings
    from codefit.models.hub import fetch_model, names_hub_model
    from codefit.models.load import load_tokenizer, require_torch
    from codefit.models.start import start_model

    adapter = fetch_model(adapter_name) if names_hub_model(adapter_name) else Path(adapter_name)
    if not (adapter / "adapter_config.json").exists():
        raise InputError(
            "no adapter_config.json there", where=str(adapter), todo="name a PEFT adapter folder"
        )
    if out.exists():
        raise InputError("exists already", where=str(out), todo="choose another folder")
    require_torch()
    from codefit.publish.merge import export_merged

    folder = start_model(ModelSettings(name=model), out, 0)
    export_merged(folder, adapter, load_tokenizer(folder), out, nf4=nf4)
    if as_json:
        show.print_json({"out": str(out)})
    else:
        click.echo(f"Model: {out}")
