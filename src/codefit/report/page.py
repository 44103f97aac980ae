"""From the evidence to the sections of the page, in reading order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codefit.report.blocks import Section
from codefit.report.page_analysis import cases_section, failures_section, outputs_section, tasks_section
from codefit.report.page_comparison import comparison_section
from codefit.report.page_data import data_section, format_section
from codefit.report.page_memory import memory_section
from codefit.report.page_result import arms_section, limits_section, questions_section, verdict_section
from codefit.report.page_training import training_section
from codefit.report.page_traits import traits_section


def sections(evidence: Mapping[str, Any]) -> list[Section]:
    """Return all sections; one without data says so and names the command."""
    return [
        verdict_section(evidence),
        arms_section(evidence),
        data_section(evidence),
        format_section(evidence),
        memory_section(evidence),
        training_section(evidence),
        failures_section(evidence),
        cases_section(evidence),
        tasks_section(evidence),
        outputs_section(evidence),
        traits_section(evidence),
        comparison_section(evidence),
        limits_section(evidence),
        questions_section(evidence),
    ]
