"""One written run for all tests of the report."""

from __future__ import annotations

import pytest

from codefit.report import write_report
from tests.report.fixture_run import write_run


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    run = write_run(tmp_path_factory.mktemp("run"))
    write_report(run)
    return run
