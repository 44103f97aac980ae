"""Small look-ups in the evidence that several answers share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from codefit.suites.variants import plain_name, variant_of

Evidence = Mapping[str, Any]


def main_comparisons(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Return the comparisons of start and main arm, one a suite."""
    before, after = evidence["main"]
    return [
        c for c in evidence["comparisons"] if c.get("before_arm") == before and c.get("after_arm") == after
    ]


def other_comparisons(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Return every comparison that is not the main one."""
    main = main_comparisons(evidence)
    return [c for c in evidence["comparisons"] if c not in main]


def main_pairs(evidence: Evidence) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Yield (suite, findings of the suite, findings of its main pair)."""
    before, after = evidence["main"]
    for suite, found in suites(evidence).items():
        for pair in found.get("pairs", []):
            if (pair["before"], pair["after"]) == (before, after):
                yield suite, found, pair


def suites(evidence: Evidence) -> Mapping[str, Mapping[str, Any]]:
    """Return the findings by suite, in order of name; empty without findings."""
    found: Mapping[str, Mapping[str, Any]] = (evidence["findings"] or {}).get("suites") or {}
    return dict(sorted(found.items()))


def main_training(evidence: Evidence) -> Mapping[str, Any]:
    """Return the main arm's training summary, empty where there is none."""
    found = evidence["training"].get(evidence["main"][1]) or {}
    return found.get("summary") or {}


def main_looks(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Return what the main arm's training saw of held-out rows and development set, by step."""
    found = evidence["training"].get(evidence["main"][1]) or {}
    looks: list[Mapping[str, Any]] = found.get("looks") or []
    return looks


def measured_suites(evidence: Evidence) -> list[str]:
    """Return the names of all scored suites, in the order of the scores."""
    return list(dict.fromkeys(str(s.get("suite")) for s in evidence["scores"]))


def benchmarks(evidence: Evidence) -> list[str]:
    """Return the scored benchmarks: variants, plus tests and the hard part ask the same tasks again."""
    names = (plain_name(name).removesuffix("+").removesuffix("-hard") for name in measured_suites(evidence))
    return list(dict.fromkeys(names))


def is_guard(comparison: Mapping[str, Any]) -> bool:
    """Return whether a comparison is of a suite that is watched for loss only, variants aside."""
    return comparison.get("role") == "guard" and variant_of(str(comparison.get("suite"))) is None


def traits(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Return the measured traits, an entry per suite and pair of arms; empty where none were measured."""
    found: list[Mapping[str, Any]] = (evidence["findings"] or {}).get("traits") or []
    return found


def main_traits(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Return the traits of start and main arm, one entry a suite."""
    return [t for t in traits(evidence) if [t["before"], t["after"]] == list(evidence["main"])]


def robustness(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Return suites beside their variants, an entry per variant; empty where none was answered."""
    found: list[Mapping[str, Any]] = (evidence["findings"] or {}).get("robustness") or []
    return found


def opponents(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Return published models beside start and main arm, an entry per flavour; empty where no flavour fits."""
    found: list[Mapping[str, Any]] = (evidence["findings"] or {}).get("opponents") or []
    return [o for o in found if [o["before"], o["after"]] == list(evidence["main"])]
