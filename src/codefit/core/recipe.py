"""The recipe: one YAML file that says what a run does, validated whole.

`None` in a recipe means "derive it"; the derived value is shown and stored in
`recipe.resolved.yaml`. Every field changes something.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from codefit.core import settings, units
from codefit.core.arms import ArmSettings as ArmSettings
from codefit.core.arms import source_fault
from codefit.core.curation import CurateSettings
from codefit.core.files import canonical_json
from codefit.core.generation import GenerateSettings
from codefit.core.judging import AnalyseSettings, SandboxSettings
from codefit.core.judging import SuiteSettings as SuiteSettings
from codefit.core.origins import ModelSettings as ModelSettings
from codefit.core.origins import Name
from codefit.core.origins import SourceSettings as SourceSettings
from codefit.core.rivals import RivalSettings
from codefit.core.sampling import GrpoSettings, SampleSettings
from codefit.core.settings import Settings
from codefit.core.watches import SCALES, Positive, WatchSettings

Optimizer = Literal["adamw", "adamw8", "adamw4"]


class FormatSettings(Settings):
    """How rows and tasks become prompts."""

    system: str | None = Field(None, description="system prompt; null leaves it to the chat template")
    fence: bool = Field(True, description="responses are one fenced Python block")
    max_length: Positive = Field(1024, description="tokens in a bin; longer rows are dropped, never cut")


class TrainSettings(WatchSettings):
    """Training of one arm. `None` means: derived, shown in the plan and stored in the run."""

    engine: Literal["codefit", "trl"] = Field(
        "codefit", description="`trl`: TRL's SFTTrainer under accelerate, for several GPUs (extra trl)"
    )
    processes: Annotated[int, Field(ge=1, le=1024)] = Field(
        1, description="processes of engine trl, one per GPU; each takes its part of every step"
    )
    shard: bool = Field(
        False, description="engine trl: spread weights, gradients and moments over the GPUs (FSDP)"
    )
    method: Literal["lora", "qlora", "full"] = "lora"
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    epochs: Annotated[float, Field(gt=0, le=100)] = 1.0
    batch_size: Positive = Field(16, description="packed sequences in one optimizer step")
    micro_batch: Positive | None = Field(None, description="packed sequences in one forward pass")
    warmup: Annotated[float, Field(ge=0, lt=1)] = Field(0.03, description="share of the trained tokens")
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] | None = Field(
        None, description="gradients are clipped to this global norm; null: 1.0, or unclipped with few bits"
    )
    optimizer: Optimizer | None = Field(
        None,
        description="moments in 32, 8 (adamw8) or 4 bits (adamw4); few bits are for method full, stepped in the "
        "backward pass; null: the most bits that fit the memory",
    )
    lora_rank: Positive = 16
    lora_alpha: Positive = 32
    rslora: bool = Field(False, description="scale adapters by alpha / sqrt(rank)")
    recompute: bool | Annotated[int, Field(ge=0)] | None = Field(
        None, description="layers whose activations are computed again in the backward pass; true: all"
    )
    offload: bool | None = Field(
        None,
        description="inputs of recomputed layers wait in the host's memory; null: where that is needed to fit",
    )
    cuda_graphs: bool = Field(
        default=False,
        description="LoRA's layers are recorded once and launched as one: for cards that are done with a step's "
        "kernels before the processor has launched them; takes some 250 MiB more",
    )
    host_embedding: bool | None = Field(
        None,
        description="a frozen embedding apart from the head lies in the host's memory; null: if needed to fit",
    )
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    threads: Positive | None = Field(
        None, description="CPU threads; sums may round otherwise with another number"
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = Field(
        None, description="of data order and adapters; null: the recipe's"
    )

    @property
    def bits(self) -> int:
        """Bits of each of the optimizer's moments; the first choice where the plan has yet to choose."""
        return {"adamw": 32, "adamw8": 8, "adamw4": 4}[self.optimizers[0]]

    @property
    def optimizers(self) -> tuple[Optimizer, ...]:
        """Optimizers that the settings leave to choose from, the most exact one first."""
        if self.optimizer:
            return (self.optimizer,)
        accumulates = self.max_grad_norm is not None or self.micro_batch not in (None, self.batch_size)
        if self.method != "full" or self.engine != "codefit" or accumulates:
            return ("adamw",)
        if self.dtype == "bfloat16":
            return ("adamw8", "adamw4")
        return ("adamw", "adamw8", "adamw4") if self.dtype == "auto" else ("adamw",)

    def with_optimizer(self, name: Optimizer) -> TrainSettings:
        """Return the settings with the optimizer that was chosen."""
        return self.model_copy(update={"optimizer": name})

    @property
    def scales(self) -> tuple[float, ...]:
        """Factors of the adapter's change to choose from; 1, as trained, is always among them."""
        if self.choose is None or self.method == "full":
            return (1.0,)
        wanted = SCALES if self.choose.scales is None else self.choose.scales
        return tuple(sorted({*wanted, 1.0}))

    @model_validator(mode="after")
    def _full_averages_only(self) -> TrainSettings:
        if self.method != "full" or self.choose is None:
            return self
        if self.choose.scales is not None:
            raise ValueError("choose.scales are of an adapter; full tuning can only use choose.average_last")
        if self.choose.average_last is None:
            raise ValueError("choose leaves full tuning no choice; set choose.average_last")
        return self

    @property
    def movable_embedding(self) -> bool | None:
        """`host_embedding`, but no where a development set is asked: generation wants it beside the layers."""
        return False if self.develop else self.host_embedding

    @model_validator(mode="after")
    def _embedding_can_move(self) -> TrainSettings:
        if self.host_embedding and self.method == "full":
            raise ValueError("host_embedding is for a frozen embedding; full tuning trains it")
        if self.host_embedding and self.develop:
            raise ValueError(
                "host_embedding leaves no model that answers a development set; remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _graphs_are_of_lora(self) -> TrainSettings:
        if self.cuda_graphs and self.method == "full":
            raise ValueError("cuda_graphs are for LoRA's layers; full tuning steps inside the backward pass")
        if self.cuda_graphs and self.dtype == "float32":
            raise ValueError("cuda_graphs need an attention kernel that float32 has not; use dtype auto")
        if self.cuda_graphs and self.offload:
            raise ValueError("cuda_graphs keep their inputs on the device; remove offload or cuda_graphs")
        return self

    @property
    def share_of_batch(self) -> int:
        """Packed sequences that one process takes of an optimizer step, at most."""
        return -(-self.batch_size // self.processes)

    @model_validator(mode="after")
    def _full_needs_precision(self) -> TrainSettings:
        if self.method == "full" and self.dtype == "bfloat16" and self.bits == 32:
            raise ValueError(
                "full tuning in bfloat16 loses most updates to rounding; use dtype auto or float32, "
                "or optimizer adamw8 or adamw4, which round stochastically"
            )
        return self

    @model_validator(mode="after")
    def _engine_can_do_it(self) -> TrainSettings:
        if self.engine == "codefit":
            if self.processes > 1 or self.shard:
                raise ValueError("engine codefit runs on one device: use engine trl for processes and shard")
            return self
        refused = {
            f"optimizer {self.optimizer}": self.bits < 32,
            "method qlora": self.method == "qlora",
            "offload, host_embedding or cuda_graphs": bool(
                self.offload or self.host_embedding or self.cuda_graphs
            ),
            "early_stop, develop, choose, validate_every or report_to": bool(
                self.early_stop or self.develop or self.choose or self.validate_every or self.report_to
            ),
            f"recompute {self.recompute}: it is all layers (true) or none (false)": bool(self.recompute)
            and self.recompute is not True,
            f"device {self.device}: each process takes a GPU of its own (cuda)": ":" in self.device,
            "shard with one process": self.shard and self.processes == 1,
            "shard on a CPU": self.shard and self.device == "cpu",
            f"batch_size {self.batch_size} for {self.processes} processes": self.batch_size < self.processes,
        }
        faults = [what for what, is_so in refused.items() if is_so]
        if faults:
            raise ValueError(f"engine trl does not take {'; '.join(faults)}")
        return self

    @model_validator(mode="after")
    def _few_bits_step_at_once(self) -> TrainSettings:
        if self.bits == 32:
            return self
        if self.method != "full":
            raise ValueError(f"optimizer {self.optimizer} is for method full; an adapter's moments are small")
        if self.max_grad_norm is not None:
            raise ValueError(
                f"optimizer {self.optimizer} steps each weight before the global gradient norm is known; "
                "remove max_grad_norm"
            )
        if self.micro_batch not in (None, self.batch_size):
            raise ValueError(
                f"optimizer {self.optimizer} has no gradients to accumulate: batch_size is one forward pass; "
                "remove micro_batch, or lower batch_size"
            )
        return self


class Recipe(Settings):
    """A whole run."""

    name: Name
    title: str = ""
    note: str = Field("", description="what a reader of the report must know first")
    stand_in: bool = Field(False, description="the model is a stand-in: marks every page")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data_dir: Path = Field(
        Path("."), description="folder of the data files, seen from where the command runs"
    )
    memory: str = Field("7000MiB", description="device memory the run may use, as nvidia-smi would show it")
    model: ModelSettings
    sources: Annotated[tuple[SourceSettings, ...], Field(min_length=1)]
    strict: bool = Field(False, description="refuse a malformed row instead of skipping and counting it")
    curate: CurateSettings = CurateSettings()
    format: FormatSettings = FormatSettings()
    train: TrainSettings = TrainSettings()
    sample: SampleSettings = SampleSettings()
    grpo: GrpoSettings = GrpoSettings()
    arms: Annotated[tuple[ArmSettings, ...], Field(min_length=1)] = (ArmSettings(name="curated"),)
    generate: GenerateSettings = GenerateSettings()
    evaluate: Annotated[tuple[SuiteSettings, ...], Field(min_length=1)]
    rivals: tuple[RivalSettings, ...] = Field((), description="other models that answer the same suites")
    analyse: AnalyseSettings = AnalyseSettings()
    sandbox: SandboxSettings = SandboxSettings()

    @field_validator("memory", mode="before")
    @classmethod
    def _has_unit(cls, value: object) -> str:
        units.parse_bytes(str(value))
        return str(value)

    @model_validator(mode="after")
    def _arms_are_sound(self) -> Recipe:
        names = [arm.name for arm in self.arms] + [rival.name for rival in self.rivals]
        if len(set(names)) < len(names) or "start" in names:
            raise ValueError("names of arms and rivals must differ, and 'start' is the untouched model")
        for number, arm in enumerate(self.arms):
            try:
                self.train_of(arm)
            except ValidationError as e:
                d = e.errors()[0]
                raise ValueError(f"arms.{number}.train.{'.'.join(map(str, d['loc']))}: {d['msg']}") from e
            if arm.objective == "grpo" and (fault := grpo_fault(self.train_of(arm))):
                raise ValueError(f"arms.{number}: objective grpo {fault}")
            if fault := source_fault(arm.sources or (), self.sources):
                raise ValueError(f"arms.{number}.sources: {fault}")
            if number and arm.budget == "tokens" and "epochs" in arm.train:
                raise ValueError(f"arms.{number}.train.epochs changes nothing unless its budget is 'epochs'")
        if self.arms[0].budget == "epochs":
            raise ValueError("arms.0.budget: the first arm sets the budget; only another one can choose")
        return self

    @model_validator(mode="after")
    def _rounds_end(self) -> Recipe:
        names = {arm.name for arm in self.arms}
        for number, arm in enumerate(self.arms):
            if arm.sampled_from and arm.sampled_from not in names:
                raise ValueError(f"arms.{number}.sampled_from: no arm '{arm.sampled_from}'")
        for arm in self.arms:
            self.samplers_of(arm)
        for sampler in self.samplers_of(self.arms[0]):
            if sampler.budget == "tokens":
                raise ValueError(
                    f"arm '{sampler.name}' is trained before the first arm's rows are there, whose tokens are its "
                    "budget; set its budget to 'epochs'"
                )
        return self

    @model_validator(mode="after")
    def _suites_differ(self) -> Recipe:
        names = [
            Path(s.name).name.split(".")[0] + (f"~{s.variant}" if s.variant else "") for s in self.evaluate
        ]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(
                f"evaluate: suite '{twice[0]}' is named twice; its results would lie on top of each other"
            )
        return self

    @model_validator(mode="after")
    def _development_is_no_test(self) -> Recipe:
        tests = {s.name.rstrip("+") for s in self.evaluate}
        for arm in self.arms:
            develop = self.train_of(arm).develop
            if develop and develop.suite.rstrip("+") in tests:
                raise ValueError(
                    f"train.develop: '{develop.suite}' is evaluated, and what chose the weights cannot test them; "
                    "name another suite, such as micro-dev or mbpp-dev"
                )
        return self

    def identity(self) -> str:
        """Return a text of everything that a result may depend on; how fast or where is not in it."""
        data = self.model_dump(mode="json", exclude={"data_dir", "sandbox", "analyse"})
        data["train"] = self.train.lasting()
        data["sample"] = self.sample.lasting()
        for arm, written in zip(self.arms, data["arms"], strict=True):
            written["train"] = self.train_of(arm).lasting()
        data["generate"].pop("batch_size")
        data["rivals"] = [rival.lasting() for rival in self.rivals]
        return canonical_json(data)

    def samplers_of(self, arm: ArmSettings) -> list[ArmSettings]:
        """Return the arms whose models an arm's rows come from: the last first, those of earlier rounds behind.

        Raises `ValueError` where an arm would learn from itself.
        """
        by_name = {a.name: a for a in self.arms}
        found: list[ArmSettings] = []
        at = arm
        while at.sampled_from:
            at = by_name[at.sampled_from]
            if at == arm or at in found:
                raise ValueError(f"arm '{arm.name}' would sample from itself")
            found.append(at)
        return found

    def round_of(self, arm: ArmSettings) -> int:
        """Return the round of rejection sampling that an arm's rows are of; 0 for an arm without."""
        return sum(a.samples for a in (arm, *self.samplers_of(arm)))

    def train_of(self, arm: ArmSettings) -> TrainSettings:
        """Return the training settings of one arm."""
        return TrainSettings.model_validate({**self.train.model_dump(), **arm.train})


def grpo_fault(settings: TrainSettings) -> str | None:
    """Return what keeps an arm's settings from GRPO, None where nothing does."""
    if settings.method != "lora":
        return "trains adapters, whose absence is the reference; set train.method: lora"
    watched = ("validation_rows", "early_stop", "report_to")
    found = [name for name in watched if getattr(settings, name)]
    if settings.choose and settings.choose.average_last:
        found.append("choose.average_last")
    return f"does not take train.{', train.'.join(found)}" if found else None


def load_recipe(path: Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe file; raises `InputError(s)` with every fault by file and line."""
    return settings.load(Recipe, path, overrides)


def to_yaml(recipe: Recipe) -> str:
    """Return the resolved recipe as YAML, every value spelled out."""
    data = recipe.model_dump(mode="json")
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
