"""`codefit export`: leave with a model."""

from __future__ import annotations

from pathlib import Path

import click

from codefit.core.errors import InputError


@click.group()
def export() -> None:
    """Leave with a model."""


@export.command()
@click.option("--model", required=True, type=click.Path(path_type=Path), help="Folder of the start model.")
@click.option("--adapter", required=True, type=click.Path(path_type=Path), help="Folder of the LoRA adapter.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
def merge(model: Path, adapter: Path, out: Path) -> None:
    """Merge a LoRA adapter into its model: a folder that plain transformers loads."""
    from codefit.models.load import load_tokenizer, require_torch

    if not (adapter / "adapter_config.json").exists():
        raise InputError(
            "no adapter_config.json there", where=str(adapter), todo="name a PEFT adapter folder"
        )
    require_torch()
    from codefit.publish.merge import export_model

    export_model(model, adapter, load_tokenizer(model), out)
    click.echo(f"Model: {out}")
