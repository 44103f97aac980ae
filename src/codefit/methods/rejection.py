"""Rejection sampling: a model answers requests several times, and what passes their tests becomes rows.

Yuan et al. 2023 (arXiv 2308.01825) call it rejection sampling fine-tuning; trained from the start model in each
round, with the model of one round answering in the next, it is ReST-EM (Singh et al. 2023, arXiv 2312.06585).

Files below the folder: `rows.parquet` (the kept answers), `samples.jsonl` (every answer with its fate),
`prompts.jsonl` (every request with its pass count), `summary.json`. They are the same bytes for the same model,
rows and settings, however often the run was killed, unless `hours` ends it: then they hold what was asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import Ledger, write_json, write_jsonl
from codefit.core.progress import Event
from codefit.core.types import Row
from codefit.curate.rows_io import write_rows
from codefit.curate.runner import Verdicts
from codefit.methods import figures
from codefit.methods.asking import Clock, Replies, forecast, told
from codefit.methods.job import Sampling, ask, requests_of
from codefit.methods.keep import LEAK, Asked, choose
from codefit.methods.prompts import Found, Prompt, find_prompts
from codefit.methods.replay import replayed
from codefit.methods.screen import leaks, searched
from codefit.methods.verdicts import Sample, judge

FILES = ("rows.parquet", "samples.jsonl", "prompts.jsonl", "summary.json")
OWN, REPLAY = "own", "own-unverified"
"""The source of a row that is a model's own answer: verified by tests, or kept on cheap evidence."""
_BATCHES = 4


@dataclass(frozen=True, slots=True)
class Answered:
    """A kept answer as a row, and the id of the curated row whose request it answers."""

    row: Row
    prompt_id: str


def sample_rows(rows: Sequence[Row], job: Sampling, out: Path, failed: Sequence[Row] = ()) -> list[Answered]:
    """Ask, judge, keep; write the files into `out`, the summary last, and return the kept answers.

    `rows` are curated, `failed` those that verification dropped and that are asked as well.
    Run it again after a kill and it goes on at the answer where it stood. Raises `InputError` where no row can
    be asked or no answer is kept, and `CodefitError` if the sandbox itself fails.
    """
    with (
        Verdicts(job.cache / "sample_verdicts.jsonl") as verdicts,
        Ledger(job.cache / "more_tests.jsonl") as made,
    ):
        found = find_prompts(
            rows, failed, job.settings, job.curate.verify, job.sandbox, verdicts, made, seed=job.seed,
            progress=lambda done, total: job.listen(Event(job.stage, "rows' own answers", done, total, "rows")),
        )  # fmt: skip
        if not found.prompts:
            raise InputError(
                "no curated row can be asked: none has tests that its own answer passes",
                where="sample", todo="see sample.rows, and the step verify in data/funnel.json",
            )  # fmt: skip
        replies = Replies(job.cache / "samples.jsonl", job.setting, job.load)
        clock = Clock(job.cache / "sample_time.jsonl", f"{job.stage} {job.setting}")
        try:
            asked = _all_asked(found.prompts, job, replies, clock, verdicts)
            verify = job.curate.verify
            job.listen(Event(job.stage, "choosing among the passing answers"))
            choose(asked, job.settings, verify, job.sandbox, verdicts, job.count_tokens, job.seed)
            job.listen(Event(job.stage, "searching the chosen answers for leaks"))
            kept = _screened(asked, job)
            extra = _replay(found, len(kept), job, replies, clock, verdicts)
        finally:
            replies.close()
            clock.close()
    return _write(out, found, asked, kept, extra, job, clock)


def pass_rates(rows: Sequence[Row], job: Sampling) -> dict[str, float]:
    """Return the share of the model's answers that pass, by row id, for rows whose own answer passes its tests.

    Resumed and remembered as `sample_rows` is; nothing is written but the caches.
    """
    with (
        Verdicts(job.cache / "sample_verdicts.jsonl") as verdicts,
        Ledger(job.cache / "more_tests.jsonl") as made,
    ):
        found = find_prompts(
            rows, (), job.settings, job.curate.verify, job.sandbox, verdicts, made, seed=job.seed
        )
        replies = Replies(job.cache / "samples.jsonl", job.setting, job.load)
        clock = Clock(job.cache / "sample_time.jsonl", f"{job.stage} {job.setting}")
        try:
            asked = _all_asked(found.prompts, job, replies, clock, verdicts)
        finally:
            replies.close()
            clock.close()
    return {a.prompt.row.id: a.passing / len(a.samples) for a in asked}


def _all_asked(
    prompts: Sequence[Prompt], job: Sampling, replies: Replies, clock: Clock, verdicts: Verdicts
) -> list[Asked]:
    """Return the prompts that were asked, all of them unless the budget of hours ended it."""
    total = len(prompts) * job.settings.samples
    requests = {p.row.id: requests_of(p.row, job.settings.samples, job) for p in prompts}
    left = sum(len(replies.missing(r)) for r in requests.values())
    told(job.listen, job.stage, total - left, total)
    asked: list[Asked] = []
    predicted = left == 0
    passed = 0
    for chunk in _chunks(prompts, job):
        mine = [r for p in chunk for r in requests[p.row.id]]
        new = len(replies.missing(mine))
        if new and clock.over(job.settings.hours):
            job.listen(Event(job.stage, _stopped(len(asked), len(prompts), job), finished=True))
            break
        ask(mine, job, replies, clock, total - left, total)
        clock.start()
        left -= new
        samples = judge(
            [(p, [replies.get(r) for r in requests[p.row.id]]) for p in chunk],
            job.curate.verify, job.sandbox, verdicts,
        )  # fmt: skip
        clock.lap()
        asked += [Asked(p, s, {}) for p, s in zip(chunk, samples, strict=True)]
        passed += sum(s.passed for group in samples for s in group)
        if not predicted and new:
            job.listen(Event(job.stage, forecast(clock, left, job.settings.hours), finished=True))
            predicted = True
        done = len(asked) * job.settings.samples
        told(job.listen, job.stage, done, total, f"{passed / done:.1%} pass")
    return asked


def _stopped(asked: int, of: int, job: Sampling) -> str:
    reached = f"{asked:,} of {of:,} rows asked"
    return f"stopped at the budget of {job.settings.hours:g} h with {reached}; raise sample.hours to go on"


def _chunks(prompts: Sequence[Prompt], job: Sampling) -> Iterator[Sequence[Prompt]]:
    """Yield one batch's worth of prompts, to measure the speed on, and then several batches' at a time."""
    first = max(1, -(-job.batch_size // job.settings.samples))
    yield prompts[:first]
    for at in range(first, len(prompts), first * _BATCHES):
        yield prompts[at : at + first * _BATCHES]


def _screened(asked: Sequence[Asked], job: Sampling) -> list[Answered]:
    """Return the kept answers, but for those that give away a test task."""
    own = [(a, s, _row(a, s, job)) for a in asked for s in a.kept]
    decontaminate = job.curate.decontaminate
    lost = leaks([(row, a.prompt.row) for a, _, row in own if a.prompt.proven], job.tasks, decontaminate)
    unseen = [row for a, _, row in own if not a.prompt.proven]
    lost |= searched(unseen, job.tasks, decontaminate, job.sandbox, job.cache / "own_leaks")
    for a, s, row in own:
        if row.id in lost:
            a.fate[s.number] = LEAK
    return [Answered(row, a.prompt.row.id) for a, _, row in own if row.id not in lost]


def _row(asked: Asked, sample: Sample, job: Sampling) -> Row:
    """Return a kept answer as a row; it has the request, the tests and the licence of the row it answers."""
    prompt = asked.prompt.row
    return replace(
        prompt,
        id=f"{prompt.id}~{job.round}.{sample.number}",
        source=OWN,
        response=sample.program or "",
        tests=asked.prompt.tests,
        tags=(*prompt.tags, "own answer"),
        extra={
            **_origin(prompt, sample, job),
            "outcome": sample.outcome,
            "checker": sample.judgement.checker,
            "passing": f"{asked.passing} of {len(asked.samples)}",
            "made_tests": asked.prompt.made,
            "tests_proven": asked.prompt.proven,
        },
    )


def _origin(prompt: Row, sample: Sample, job: Sampling) -> dict[str, Any]:
    return {
        "prompt_row": prompt.id,
        "prompt_source": prompt.source,
        "sampler": job.sampler,
        "model": job.model,
        "round": job.round,
        "sample": sample.number,
        "extraction": sample.extraction,
        "tokens": sample.reply.tokens,
        "mean_logprob": sample.reply.mean_logprob,
        "min_logprob": sample.reply.min_logprob,
    }


def _replay(
    found: Found, kept: int, job: Sampling, replies: Replies, clock: Clock, verdicts: Verdicts
) -> list[Answered]:
    """Return own answers to requests without tests, as many as the recipe's share of all own ones asks for."""
    share = job.settings.replay
    wanted = round(share / (1 - share) * kept)
    pairs = []
    for row, sample, verdict in replayed(found.others, wanted, job, replies, clock, verdicts):
        extra = {**_origin(row, sample, job), "outcome": f"unverified: {verdict}"}
        own = replace(
            row, id=f"{row.id}~{job.round}.{sample.number}", source=REPLAY, response=sample.program or "",
            solutions=(), tags=(*row.tags, "own answer", "unverified"), extra=extra,
        )  # fmt: skip
        pairs.append((own, row))
    lost = leaks(pairs, job.tasks, job.curate.decontaminate)
    return [Answered(own, row.id) for own, row in pairs if own.id not in lost]


def _write(
    out: Path,
    found: Found,
    asked: Sequence[Asked],
    kept: list[Answered],
    extra: list[Answered],
    job: Sampling,
    clock: Clock,
) -> list[Answered]:
    """Write the four files; in the order of the rows that were asked."""
    write_jsonl(out / "samples.jsonl", (figures.sample_line(a, s) for a in asked for s in a.samples))
    write_jsonl(out / "prompts.jsonl", figures.prompt_lines(asked, found))
    if not kept:
        raise InputError(
            f"none of {sum(len(a.samples) for a in asked):,} answers is kept", where=str(out / "samples.jsonl"),
            todo="its lines say why; all passing ones may be over sample.all_pass_share",
        )  # fmt: skip
    found_rows = [*kept, *extra]
    write_rows(out / "rows.parquet", (a.row for a in found_rows))
    summary = figures.summary(asked, found, job.settings, len(extra))
    head = {
        "stage": job.stage,
        "sampler": job.sampler,
        "model": job.model,
        "round": job.round,
        "seed": job.seed,
    }
    write_json(out / "summary.json", head | summary | {"licences": _licences(found_rows)})
    job.listen(Event(job.stage, figures.line(summary, clock), finished=True))
    return found_rows


def _licences(answers: Sequence[Answered]) -> dict[str, int]:
    return dict(sorted(Counter(a.row.licence or "unknown" for a in answers).items()))
