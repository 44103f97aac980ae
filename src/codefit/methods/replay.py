"""Own answers to requests without tests, as replay against forgetting: one each, kept on cheap evidence.

An answer counts when it came to its end, holds a program, and that loads; an example that the request writes
down must hold (`curate.untested`). That proves little, and the rows say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from codefit.core.files import digest
from codefit.core.types import Outcome, Row
from codefit.curate.imports import with_imports
from codefit.curate.runner import Judgement, Verdicts
from codefit.curate.step import Context
from codefit.curate.untested import runnable, untested
from codefit.generate.types import Request
from codefit.methods.asking import Clock, Replies
from codefit.methods.job import Sampling, ask, requests_of
from codefit.methods.verdicts import Sample
from codefit.suites.extract import extract

_NO_EVIDENCE = ("failed", "example fails", "not_run")
_UNJUDGED = Judgement(Outcome.NOT_RUN)


def replayed(
    rows: Sequence[Row],
    wanted: int,
    job: Sampling,
    replies: Replies,
    clock: Clock,
    verdicts: Verdicts,
) -> Iterator[tuple[Row, Sample, str]]:
    """Yield up to `wanted` rows with the model's answer and the evidence for it; stops at the budget of hours."""
    general = [row for row in rows if runnable(row) and row.tests is None]
    ordered = sorted(general, key=lambda row: digest("replay", str(job.seed), row.id))
    found = at = 0
    while found < wanted and at < len(ordered):
        chunk = ordered[at : at + job.batch_size]
        requests = {row.id: requests_of(row, 1, job)[0] for row in chunk}
        if replies.missing(list(requests.values())) and clock.over(job.settings.hours):
            return
        ask(list(requests.values()), job, replies, clock, at, len(ordered))
        clock.start()
        answers = {row.id: _sample(replies, requests[row.id]) for row in chunk}
        for row, verdict in _evident(chunk, answers, job, verdicts):
            if found < wanted:
                found += 1
                yield row, answers[row.id], verdict
        at += len(chunk)
        clock.lap()


def _sample(replies: Replies, request: Request) -> Sample:
    reply = replies.get(request)
    part = extract(reply.text)
    return Sample(0, reply, part.program, part.rule, _UNJUDGED)


def _evident(
    rows: Sequence[Row], answers: dict[str, Sample], job: Sampling, verdicts: Verdicts
) -> Iterator[tuple[Row, str]]:
    """Yield the rows whose answer has cheap evidence, with its name."""
    tried = [
        replace(row, response=s.program, solutions=())
        for row in rows
        if (s := answers[row.id]).program
        and s.reply.finish_reason != "length"
        and with_imports(s.program) == s.program
    ]
    loads = job.curate.verify.model_copy(update={"untested": "loads"})
    ctx = Context(job.curate.model_copy(update={"verify": loads}), {}, job.sandbox, job.seed)
    verdict = {e.row.id: e.verdict for e in untested(tried, ctx, verdicts)}
    verdicts.refuse_unjudged()
    for row in rows:
        if verdict.get(row.id, _NO_EVIDENCE[0]) not in _NO_EVIDENCE:
            yield row, verdict[row.id]
