"""Where a recipe's model and rows come from: the embedded default, local files, or a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from codefit.core.settings import Settings

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")]
ColumnName = Literal["instruction", "input", "output", "tests", "language", "difficulty", "id"]
Revision = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w./-]{0,199}$")]
Repo = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]


class SourceSettings(Settings):
    """Where rows come from."""

    kind: str = Field(description="code_alpaca, taco, jsonl, parquet, hub or micro")
    path: Path | None = Field(
        None,
        description="file or folder; a relative one is below data_dir; null for code_alpaca and taco: the hub",
    )
    repo: Repo | None = Field(
        None, description="dataset of the hub, owner/name; code_alpaca and taco know theirs"
    )
    revision: Revision | None = Field(
        None, description="of the dataset: branch, tag or commit; null: its main branch as it is at the start"
    )
    config: str | None = Field(
        None, description="part of the dataset, as its card names it; null: the default"
    )
    split: str | None = Field(
        None,
        description="null: train, or the only one; of micro: code_alpaca or taco, whose form its rows have, "
        "null: both",
    )
    columns: dict[ColumnName, str] | None = Field(
        None, description="for jsonl, parquet and hub: our column names, each with the data's own"
    )
    name: Name | None = Field(None, description="name of the source in cards and quotas; default its kind")
    limit: Annotated[int, Field(ge=1)] | None = Field(None, description="take the first N rows only")
    licence: str | None = Field(None, description="licence of the rows where the kind doesn't know it")

    @property
    def row_source(self) -> str | None:
        """The source that the rows bear; None for a local file without a name, whose rows may bear their own."""
        if self.name or self.kind in ("code_alpaca", "taco", "micro"):
            return self.name or self.kind
        return self.repo.rpartition("/")[2].lower() if self.repo else None


class ModelSettings(Settings):
    """The start model."""

    name: str = Field(
        description="a folder, owner/name on the hub, `micro` (embedded) or `random:SHAPE` (random weights)"
    )
    revision: Revision | None = Field(
        None, description="of a hub model: branch, tag or commit; null: its main branch as it is at the start"
    )
    tokenizer: str | None = Field(
        None, description="for a random model: tokenizer folder or tokenizer.json, below data_dir"
    )
