"""GRPO with a verified reward: answers that pass their tests are made likelier than those that do not.

Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300, section 4.1) by TRL's GRPOTrainer on
LoRA. The reward of an answer is 1 if its program passes the request's tests in the sandbox and the answer came
to its end, else 0. The reference model is the start model: the same weights with the adapters off, so it takes no
memory.

Not covered: several GPUs. A killed training goes on at its last checkpoint; it is not said to end with the bytes
of an unbroken one. Never run on a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codefit.core.curation import VerifySettings
from codefit.core.errors import InputError
from codefit.core.files import Ledger, digest, file_digest, read_json, telling_full_disk, write_json
from codefit.core.progress import Event, Listener
from codefit.core.recipe import TrainSettings
from codefit.core.sampling import GrpoSettings
from codefit.curate.runner import Verdicts
from codefit.format.chat import ChatFormat
from codefit.methods.asking import Reply
from codefit.methods.prompts import Prompt
from codefit.methods.verdicts import judge
from codefit.sandbox import Sandbox
from codefit.train.device import one_line_for_memory
from codefit.train.extra import require_trl
from codefit.train.loop import reopen_log

_PARITY = 200  # prompts looked at
_LOGGED = (
    "loss",
    "reward",
    "reward_std",
    "kl",
    "entropy",
    "grad_norm",
    "learning_rate",
    "completions/mean_length",
)


@dataclass(frozen=True)
class Course:
    """All that decides one training, and where it runs; `micro_batch` sequences go through the model at once."""

    arm: str
    model: Path
    prompts: Sequence[Prompt]
    settings: GrpoSettings
    train: TrainSettings
    max_new_tokens: int
    micro_batch: int
    chat: ChatFormat
    tokenizer: Any
    verify: VerifySettings
    sandbox: Sandbox
    seed: int
    memory: int | None = None  # bytes of the device that the run may use

    def key(self) -> str:
        """Return what a checkpoint belongs to."""
        asked = digest(*(p.row.id for p in self.prompts))
        return digest(
            file_digest(self.model), asked, self.settings.model_dump_json(), str(self.train.decisive()),
            str(self.max_new_tokens), self.chat.revision, str(self.seed),
        )  # fmt: skip


class Reward:
    """Rewards answers by running them; what it saw is counted."""

    def __init__(self, course: Course, verdicts: Verdicts, ends: frozenset[int]) -> None:
        self._course, self._verdicts, self._ends = course, verdicts, ends
        self._prompts = {p.row.id: p for p in course.prompts}
        self.__name__ = "passes"  # TRL's name of it in its log

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]],
        row_id: Sequence[str],
        **_: Any,
    ) -> list[float]:
        """Return 1 or 0 for each answer; raises `CodefitError` if the sandbox itself fails."""
        asked = []
        for row, answer, ids in zip(row_id, completions, completion_ids, strict=True):
            reason = "stop" if len(ids) and ids[-1] in self._ends else "length"
            reply = Reply(answer[0]["content"], len(ids), None, None, reason)
            asked.append((self._prompts[row], [reply]))
        found = judge(asked, self._course.verify, self._course.sandbox, self._verdicts)
        return [float(samples[0].passed) for samples in found]


def train(course: Course, folder: Path, listen: Listener) -> dict[str, Any]:
    """Train or go on in `folder`; writes `adapter/`, `log.jsonl` and, last, `summary.json`, which it returns.

    Raises `MissingPrerequisite` without the extra, `InputError` where nothing can be asked.
    """
    require_trl()
    if len(course.prompts) < course.settings.prompts:
        raise InputError(
            f"{len(course.prompts)} requests with tests are fewer than one step takes",
            where="grpo.prompts", todo="lower it, or see sample.rows",
        )  # fmt: skip
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        os.environ.setdefault(name, "1")  # nothing here needs a network, and TRL would look for a model card
    _check_parity(course)
    _forget_others(folder, course.key())
    step, newest = _newest(folder / "checkpoints")
    with Verdicts(folder / "rewards.jsonl") as verdicts, reopen_log(folder / "log.jsonl", step) as log:
        trainer = _trainer(course, folder, verdicts, log, listen)
        with one_line_for_memory(course.memory, folder):
            trainer.train(resume_from_checkpoint=str(newest) if newest else None)
        with telling_full_disk(folder):
            trainer.model.save_pretrained(str(folder / "adapter"))
        summary = _summary(course, log.entries, trainer)
    write_json(folder / "summary.json", summary)
    return summary


def _trainer(course: Course, folder: Path, verdicts: Verdicts, log: Ledger, listen: Listener) -> Any:
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import GRPOTrainer

    from codefit.generate.engine import end_ids
    from codefit.models.card import hold_to, release
    from codefit.models.load import load_model, resolve_device, resolve_dtype
    from codefit.train.model import lora_config

    device = resolve_device(course.train.device)
    dtype = resolve_dtype(course.train.dtype, device, course.train.method)
    release(device)
    hold_to(course.memory, device)
    model = load_model(course.model, dtype=dtype, device=device)
    rows = {
        "prompt": [_messages(course.chat, p) for p in course.prompts],
        "row_id": [p.row.id for p in course.prompts],
    }
    ends = frozenset({course.chat.end_id, *end_ids(model, course.tokenizer)})
    model.generation_config.eos_token_id = sorted(ends)
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=Reward(course, verdicts, ends),
        args=_arguments(course, folder, dtype == "bfloat16"),
        train_dataset=Dataset.from_dict(rows),
        processing_class=course.tokenizer,
        peft_config=lora_config(course.train),
        callbacks=[_listening(course, log, listen)],
    )
    trainer.remove_callback(PrinterCallback)  # standard output is the caller's
    # a set otherwise, so that the same adapter would be saved in other bytes
    trainer.model.peft_config["default"].target_modules = sorted(
        trainer.model.peft_config["default"].target_modules
    )
    return trainer


def _check_parity(course: Course) -> None:
    """Raise `InputError` where TRL would render a prompt otherwise than training and evaluation do."""
    for prompt in course.prompts[:_PARITY]:
        rendered = course.tokenizer.apply_chat_template(
            _messages(course.chat, prompt), add_generation_prompt=True, tokenize=True, return_dict=True
        )
        if list(rendered["input_ids"]) != course.chat.prefix(prompt.row.instruction):
            raise InputError(
                "TRL would render its prompt in other tokens than training and evaluation",
                where=f"row {prompt.row.id}", todo="use a chat template without tokens of its own",
            )  # fmt: skip


def _messages(chat: ChatFormat, prompt: Prompt) -> list[dict[str, str]]:
    return [{"role": r, "content": c} for r, c in chat.messages(prompt.row.instruction)]


def _arguments(course: Course, folder: Path, half: bool) -> Any:
    """Return TRL's arguments, with every default that would change the training spelled out."""
    from trl import GRPOConfig

    from codefit.models.load import resolve_device

    s, t = course.settings, course.train
    whole = s.prompts * s.answers
    recompute = bool(t.recompute)
    found = GRPOConfig(
        output_dir=str(folder / "checkpoints"),
        max_steps=s.steps,
        per_device_train_batch_size=course.micro_batch,
        gradient_accumulation_steps=whole // course.micro_batch,
        generation_batch_size=whole,
        num_generations=s.answers,
        max_completion_length=course.max_new_tokens,
        temperature=s.temperature,
        top_p=1.0,
        beta=s.beta,
        loss_type="dapo",
        scale_rewards="group",
        mask_truncated_completions=True,
        learning_rate=s.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=round(t.warmup * s.steps),
        weight_decay=t.weight_decay,
        max_grad_norm=t.max_grad_norm or 1.0,
        activation_checkpointing=recompute,
        gradient_checkpointing=None,
        activation_checkpointing_kwargs={"use_reentrant": False} if recompute else None,
        bf16=half,
        use_cpu=resolve_device(t.device) == "cpu",
        save_strategy="steps",
        save_steps=t.save_every,
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,
        seed=course.seed,
        dataloader_pin_memory=False,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
    )
    # One card, the claimed one: asked first, or it would be counted anew and several be refused.
    found._n_gpu = min(found.n_gpu, 1)
    return found


def _listening(course: Course, log: Ledger, listen: Listener) -> Any:
    from transformers import TrainerCallback

    class Listening(TrainerCallback):
        """Writes a line per step, and tells of it."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            """Hear what TRL logged."""
            if not logs or "reward" not in logs:
                return
            entry = {
                "step": state.global_step,
                **{k.rpartition("/")[2]: logs[k] for k in _LOGGED if k in logs},
            }
            log.append({k: round(v, 6) if isinstance(v, float) else v for k, v in entry.items()})
            text = f"reward {entry['reward']:.3f}"
            listen(Event(f"train {course.arm}", text, state.global_step, course.settings.steps, "steps"))

    return Listening()


def _forget_others(folder: Path, key: str) -> None:
    """Remove the checkpoints and the log of another training."""
    import shutil

    mark = folder / "course.json"
    if mark.exists() and read_json(mark)["key"] == key:
        return
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    (folder / "log.jsonl").unlink(missing_ok=True)
    write_json(mark, {"key": key})


def _newest(folder: Path) -> tuple[int, Path | None]:
    """Return the newest checkpoint that is whole (its state is written last) with its step; 0 without one."""
    found = [p for p in folder.glob("checkpoint-*") if (p / "trainer_state.json").exists()]
    steps = sorted((int(p.name.rpartition("-")[2]), p) for p in found)
    return steps[-1] if steps else (0, None)


def _summary(course: Course, log: Sequence[Mapping[str, Any]], trainer: Any) -> dict[str, Any]:
    rewards = [entry["reward"] for entry in log]
    tenth = max(1, len(rewards) // 10)
    return {
        "arm": course.arm,
        "engine": "trl",
        "objective": "grpo",
        "method": course.train.method,
        "rows": len(course.prompts),
        "steps": len(log),
        "answers": len(log) * course.settings.prompts * course.settings.answers,
        "first_reward": round(sum(rewards[:tenth]) / tenth, 4),
        "last_reward": round(sum(rewards[-tenth:]) / tenth, 4),
        "trainable_parameters": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "seed": course.seed,
        "weights": "adapter",
    }
