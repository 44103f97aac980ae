"""Which of the passing answers are kept: few and different ones of a prompt, the simplest first.

In this order: one of each normal form (`curate.normal_form`), the shortest; fewer branches first, then fewer
tokens, then the text itself; each passes `verify.runs` times; at most `keep` of them. Prompts that no answer
passed have nothing to keep. Those that every answer passed teach little, and are thinned to a share, by a draw
that depends on the seed and their ids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from codefit.core.curation import VerifySettings
from codefit.core.files import digest
from codefit.core.sampling import SampleSettings
from codefit.curate.choose import branches
from codefit.curate.runner import Verdicts
from codefit.methods.prompts import Prompt
from codefit.methods.verdicts import Sample, confirmed, same_code
from codefit.sandbox import Sandbox

KEPT, FLAKY, DUPLICATE, OVER, EASY, LEAK = (
    "kept", "flaky", "same code as another", "over sample.keep", "every answer passed", "leak"
)  # fmt: skip


@dataclass
class Asked:
    """A prompt with its judged answers, and why each passing one is kept or not (`fate`, by number)."""

    prompt: Prompt
    samples: Sequence[Sample]
    fate: dict[int, str]

    @property
    def passing(self) -> int:
        """Return how many answers passed."""
        return sum(s.passed for s in self.samples)

    @property
    def kind(self) -> str:
        """Return `none pass`, `some pass` or `all pass`."""
        if not self.passing:
            return "none pass"
        return "all pass" if self.passing == len(self.samples) else "some pass"

    @property
    def kept(self) -> list[Sample]:
        """Return the kept answers, the simplest first."""
        return [self.samples[n] for n, fate in self.fate.items() if fate == KEPT]


def choose(
    asked: Sequence[Asked],
    settings: SampleSettings,
    verify: VerifySettings,
    sandbox: Sandbox,
    verdicts: Verdicts,
    count_tokens: Callable[[str], int],
    seed: int,
) -> None:
    """Decide the fate of every passing answer; same answers and verdicts, same fates."""
    waiting = {i: _distinct(a, count_tokens) for i, a in enumerate(asked)}
    thinned = _thinned(asked, settings.all_pass_share, seed)
    while True:
        due = {
            f"{i} {s.number}": (asked[i].prompt, s.program or "")
            for i, queue in waiting.items()
            if i not in thinned
            for s in queue[: settings.keep - len(asked[i].kept)]
        }
        if not due:
            break
        still = confirmed(due, verify, sandbox, verdicts)
        for key, passes in still.items():
            i, number = map(int, key.split())
            waiting[i].pop(0)
            asked[i].fate[number] = KEPT if passes else FLAKY
    for i, queue in waiting.items():
        asked[i].fate.update(dict.fromkeys((s.number for s in queue), EASY if i in thinned else OVER))


def _distinct(asked: Asked, count_tokens: Callable[[str], int]) -> list[Sample]:
    """Return one passing answer of each normal form, simplest first; the others are marked as its copies."""
    best: dict[str, tuple[int, int, str, Sample]] = {}
    for s in asked.samples:
        if not (s.passed and s.program):
            continue
        rank = (branches(s.program), count_tokens(s.program), s.program, s)
        key = same_code(s.program)
        first = best.get(key)
        if first is None or rank[:3] < first[:3]:
            best[key] = rank
    chosen = sorted(best.values(), key=lambda r: r[:3])
    numbers = {r[3].number for r in chosen}
    for s in asked.samples:
        if s.passed and s.number not in numbers:
            asked.fate[s.number] = DUPLICATE
    return [r[3] for r in chosen]


def _thinned(asked: Sequence[Asked], share: float, seed: int) -> set[int]:
    """Return the places of the prompts that every answer passed and that are too many."""
    easy = [i for i, a in enumerate(asked) if a.kind == "all pass"]
    others = sum(a.kind == "some pass" for a in asked)
    room = len(easy) if share == 1 else int(share / (1 - share) * others)
    drawn = sorted(easy, key=lambda i: digest("all pass", str(seed), asked[i].prompt.row.id))
    return set(drawn[room:])
