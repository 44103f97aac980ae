"""What became of each answer: the program in it, run against the tests of its prompt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from codefit.core.curation import VerifySettings
from codefit.core.files import digest
from codefit.core.types import Outcome
from codefit.curate.normal_form import normal_form
from codefit.curate.runner import Judgement, Verdicts, run_trials
from codefit.methods.asking import Reply
from codefit.methods.prompts import Prompt
from codefit.sandbox import Sandbox
from codefit.suites.extract import extract


@dataclass(frozen=True, slots=True)
class Sample:
    """One judged answer: the model's reply, the program in it and its verdict."""

    number: int
    reply: Reply
    program: str | None
    extraction: str
    judgement: Judgement

    @property
    def passed(self) -> bool:
        """Return True if the program passed the tests, and the answer came to its end."""
        return self.judgement.passed and self.reply.finish_reason != "length"

    @property
    def outcome(self) -> str:
        """Return what became of it; `cut` is a passing program whose answer did not end by itself."""
        return "cut" if self.judgement.passed and not self.passed else self.judgement.outcome.value


def judge(
    asked: Iterable[tuple[Prompt, Sequence[Reply]]],
    verify: VerifySettings,
    sandbox: Sandbox,
    verdicts: Verdicts,
) -> list[list[Sample]]:
    """Return the samples of each prompt; raises `CodefitError` if the sandbox itself fails on any."""
    asked = list(asked)
    parts = [[extract(r.text, _entry(p)) for r in replies] for p, replies in asked]
    trials = [
        [p.trial(part.program, verify) if part.program else None for part in found]
        for (p, _), found in zip(asked, parts, strict=True)
    ]
    found = run_trials((t for group in trials for t in group if t), sandbox, verdicts)
    verdicts.refuse_unjudged()
    return [
        [
            Sample(n, reply, part.program, part.rule, found[t.key] if t else _NOTHING)
            for n, (reply, part, t) in enumerate(zip(replies, ps, ts, strict=True))
        ]
        for (_, replies), ps, ts in zip(asked, parts, trials, strict=True)
    ]


_NOTHING = Judgement(Outcome.NO_CODE, "no program in the answer")


def _entry(prompt: Prompt) -> str | None:
    return prompt.tests.entry_point if prompt.tests.kind != "stdin" else None


def confirmed(
    wanted: Mapping[str, tuple[Prompt, str]], verify: VerifySettings, sandbox: Sandbox, verdicts: Verdicts
) -> dict[str, bool]:
    """Run programs again until they have passed as often as the recipe wants; return key -> still passing."""
    trials = {
        key: [prompt.trial(program, verify, run) for run in range(1, verify.runs)]
        for key, (prompt, program) in wanted.items()
    }
    found = run_trials((t for group in trials.values() for t in group), sandbox, verdicts)
    verdicts.refuse_unjudged()
    return {key: all(found[t.key].passed for t in group) for key, group in trials.items()}


def same_code(program: str) -> str:
    """Return a text that two programs share which do the same in the same way."""
    form = normal_form(program)
    return form.key if form else digest(program)
