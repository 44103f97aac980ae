"""One judged sample: its program, what was found, and the verdict that is written down."""

from __future__ import annotations

from dataclasses import dataclass

from codefit.core.types import Outcome, Task, Verdict
from codefit.suites.extract import Extraction
from codefit.suites.judge import Finding
from codefit.suites.samples import Sample


@dataclass(frozen=True, slots=True)
class Judged:
    """One sample with its program and what was found."""

    sample: Sample
    task: Task
    extraction: Extraction
    base: Finding
    plus: Finding | None
    plus_outcome: Outcome | None

    @property
    def outcome(self) -> Outcome:
        """The overall outcome: base first, then plus where there is one."""
        if self.base.outcome is not Outcome.PASSED or self.plus_outcome is None:
            return self.base.outcome
        return self.plus_outcome

    def verdict(self) -> Verdict:
        """Return the verdict that is written down."""
        told = self.base if self.base.outcome is not Outcome.PASSED else (self.plus or self.base)
        seconds = self.base.cpu_s + (self.plus.cpu_s if self.plus else 0.0)
        peaks = [f.peak_mb for f in (self.base, self.plus) if f is not None and f.peak_mb is not None]
        return Verdict(
            self.sample.task_id,
            self.sample.sample,
            self.outcome,
            self.base.outcome,
            self.plus_outcome,
            told.error,
            told.failed_test,
            round(seconds, 3),
            max(peaks) if peaks else None,
        )
