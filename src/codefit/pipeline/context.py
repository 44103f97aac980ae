"""What the stages of one run share, made when first asked for.

A run that has nothing to do must not load torch, generate data or start a sandbox, so every
costly thing here is lazy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from codefit.core.errors import InputError
from codefit.core.files import file_digest
from codefit.core.paths import expanded
from codefit.core.progress import Event, Listener
from codefit.core.recipe import ArmSettings, Recipe, SourceSettings, SuiteSettings
from codefit.core.seeds import subseed
from codefit.core.types import Dropped, Example, Row

if TYPE_CHECKING:
    from codefit.format.chat import ChatFormat
    from codefit.sandbox import Runtime, Sandbox
    from codefit.sources.base import Source
    from codefit.suites.base import Suite, SuiteInfo

START = "start"
SPENT = "generation.json"  # beside a model's verdicts: how it answered, and what that took
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Sharding:
    """That curation goes over shards, and where they are worked on; the result is the same.

    `shard_rows`: None for the default; `jobs`: workers, None for one per core; `address`: a running Ray
    cluster's, None to start Ray here.
    """

    executor: str
    shard_rows: int | None = None
    jobs: int | None = None
    address: str | None = None


class Context:
    """One run: recipe, folder, and the parts that several stages need."""

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        cache: Path,
        listen: Listener,
        verbs: frozenset[str],
        sharding: Sharding | None = None,
    ) -> None:
        self.recipe, self.out, self.cache, self.listen, self.verbs = recipe, out, cache, listen, verbs
        self.sharding = sharding
        self._closing = ExitStack()
        self._boxes: dict[Runtime, Sandbox] = {}
        self._made: dict[object, Any] = {}
        self._examples: dict[object, tuple[list[Example], list[Dropped]]] = {}

    def close(self) -> None:
        """Stop what was started."""
        self._closing.close()

    def once(self, name: object, make: Callable[[], Made]) -> Made:
        """Return what `make` returned when something of this name was first asked for."""
        if name not in self._made:
            self._made[name] = make()
        made: Made = self._made[name]
        return made

    @cached_property
    def sources(self) -> list[Source]:
        """The opened sources, in recipe order."""
        from codefit.sources.registry import open_source

        return [
            open_source({**self._located(spec), "seed": self.recipe.seed}, listen=self.listen)
            for spec in self.recipe.sources
        ]

    def _located(self, spec: SourceSettings) -> dict[str, Any]:
        return {**spec.model_dump(), "path": self.located(spec.path) if spec.path else None}

    def located(self, path: Path) -> Path:
        """Return a data file's place: a relative path is below the recipe's data_dir."""
        return expanded(self.recipe.data_dir, "data_dir") / expanded(path, "path")

    @cached_property
    def suites(self) -> list[tuple[SuiteSettings, Suite]]:
        """The benchmarks of the recipe, their scores named by how the tasks are put."""
        from codefit.suites.flavours import flavour_of

        found = []
        for s in self.recipe.evaluate:
            suite = self.suite_of(s)
            flavour_of(suite, s.flavour)
            found.append((s, suite))
        return found

    def suite_of(self, s: SuiteSettings) -> Suite:
        """Return the benchmark that settings name, read once more."""
        from codefit.suites.bigcodebench import Options
        from codefit.suites.load import load_suite

        return load_suite(
            s.name,
            self.located(s.data) if s.data else None,
            oracle=s.oracle,
            limit=s.limit,
            strict=self.recipe.strict,
            options=Options(s.split, s.calibrated, s.environment, self.cache),
            revision=s.revision,
            variant=s.variant,
        )

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox of programs that need no libraries."""
        from codefit.sandbox import Runtime

        return self.sandbox_of(Runtime())

    def sandbox_of(self, runtime: Runtime, jobs_per_core: int = 1) -> Sandbox:
        """Return the sandbox of a runtime; raises `MissingPrerequisite` where none can be had."""
        from codefit.sandbox import Sandbox

        if runtime not in self._boxes:
            settings = self.recipe.sandbox
            jobs = settings.jobs or jobs_per_core * (os.cpu_count() or 1)
            box = Sandbox(level=settings.level, jobs=jobs, runtime=runtime)
            self.listen(Event("sandbox", box.description, finished=True))
            self._boxes[runtime] = self._closing.enter_context(box)
        return self._boxes[runtime]

    @cached_property
    def start_model(self) -> Path:
        """The start model's folder."""
        from codefit.models.start import start_model

        model = self.recipe.model
        if model.tokenizer:
            model = model.model_copy(update={"tokenizer": str(self.located(Path(model.tokenizer)))})
        return start_model(model, self.out / "train" / "start", self.recipe.seed, self.listen)

    @cached_property
    def start_digest(self) -> str:
        """Hash of the start model's files."""
        return file_digest(self.start_model)

    @cached_property
    def tokenizer(self) -> Any:
        """The start model's tokenizer, or the one that the recipe names for a random model."""
        from codefit.models.load import load_tokenizer, require_torch

        require_torch()
        return load_tokenizer(self.start_model)

    @cached_property
    def chat(self) -> ChatFormat:
        """The one prompt format."""
        from codefit.format.chat import ChatFormat

        f = self.recipe.format
        return ChatFormat(self.tokenizer, system=f.system, fence=f.fence)

    @property
    def main_arm(self) -> ArmSettings:
        """The arm that the run is about."""
        return self.recipe.arms[0]

    def arm_folder(self, arm: str) -> Path:
        """Return where an arm trains."""
        return self.out / "train" if arm == self.main_arm.name else self.out / "arms" / arm / "train"

    @property
    def given_arms(self) -> list[ArmSettings]:
        """The arms whose rows are there once they are curated, before any model has answered."""
        return [arm for arm in self.recipe.arms if not arm.samples]

    def rows_file(self, arm: ArmSettings) -> str:
        """Return the arm's rows, below the run folder."""
        if arm.samples:
            return f"arms/{arm.name}/sampled/{'rows' if arm.rows == 'sampled' else 'mix'}.parquet"
        return {"curated": "data/kept.parquet", "raw": "data/raw.parquet", "random": "data/random.parquet"}[
            arm.rows
        ]

    def part_of(self, arm: ArmSettings, rows: Iterable[Row]) -> list[Row]:
        """Return those rows of an arm's file that are the arm's, in their order: of its sources, its share of them.

        The rows that validation would hold out come first into a share: shares of all sizes hold out the same.
        """
        ours = [row for row in rows if arm.sources is None or row.source in arm.sources]
        if arm.share == 1:
            return ours
        ranked = sorted(ours, key=lambda row: self._held_out_first(row.id))
        taken = {row.id for row in ranked[: max(1, round(arm.share * len(ours)))]}
        return [row for row in ours if row.id in taken]

    def _held_out_first(self, row_id: str) -> int:
        return subseed(self.recipe.seed, "validation", row_id)

    def examples(self, arm: ArmSettings) -> tuple[list[Example], list[Dropped]]:
        """Return an arm's tokenised rows, and the rows that are too long."""
        name = self.rows_file(arm)
        key = (name, arm.part)
        if key not in self._examples:
            from codefit.curate.rows_io import read_rows

            kept: list[Example] = []
            dropped: list[Dropped] = []
            rows = self.part_of(arm, read_rows(self.out / name))
            for item in self.chat.examples(rows, self.recipe.format.max_length):
                if isinstance(item, Dropped):
                    dropped.append(item)
                else:
                    kept.append(item)
            if not kept:
                raise InputError(
                    f"no row is left for arm '{arm.name}' to train on",
                    where=str(self.out / name),
                    todo="see data/funnel.json for the reasons",
                )
            self._examples[key] = (kept, dropped)
        return self._examples[key]

    def trained_budget(self, arm: ArmSettings) -> int:
        """Return the trained tokens of an arm: its own epochs, or as many as the main arm's."""
        source = arm if arm.budget == "epochs" else self.main_arm
        training, _ = self.split(source)
        return max(1, round(self.recipe.train_of(source).epochs * sum(e.trained_tokens for e in training)))

    def split(self, arm: ArmSettings) -> tuple[list[Example], list[Example]]:
        """Return an arm's training and validation examples; the split depends on row ids only."""
        from codefit.curate.pairs import function_id, program_id

        examples, _ = self.examples(arm)
        n = self.recipe.train_of(arm).validation_rows
        if n == 0:
            return examples, []
        if n >= len(examples):
            raise InputError(f"{n} validation rows of {len(examples)} leave none to train on", where="train")
        ranked = sorted(examples, key=lambda e: self._held_out_first(e.row_id))
        held = {e.row_id for e in ranked[:n]}
        validation = [e for e in examples if e.row_id in held]
        # Raw rows hold copies; a copy of a held-out row in training would make its loss meaningless.
        # So would its problem in its other form, program or function.
        seen = {e.token_ids for e in validation}
        forms = {form for row_id in held for form in (function_id(row_id), program_id(row_id))}
        return [e for e in examples if e.token_ids not in seen and e.row_id not in forms], validation


def source_settings(context: Context) -> list[dict[str, Any]]:
    """Return the sources with their content hashes, for stage keys."""
    return [
        {**_plain(spec), "revision": source.revision}
        for spec, source in zip(context.recipe.sources, context.sources, strict=True)
    ]


def _plain(spec: SourceSettings) -> dict[str, Any]:
    # Where the content came from does not matter to a stage, only what it is.
    return spec.model_dump(mode="json", exclude={"path", "repo", "revision", "config", "split"})


def suite_settings(info: SuiteInfo) -> dict[str, Any]:
    """Return what names a suite in a stage key."""
    return {
        "suite": info.name,
        "revision": info.revision,
        "harness": info.harness,
        "flavour": info.flavour,
    }
