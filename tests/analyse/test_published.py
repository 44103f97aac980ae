"""Published verdict files of other harnesses."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest

from codefit.analyse.published import last_error, read_published
from codefit.analyse.taxonomy import classify, count_classes, error_name
from codefit.core.errors import InputError
from tests.shared_data import shared_data


def test_a_file_without_results_is_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(InputError, match="not a published result file"):
        list(read_published(path))


def test_the_exception_that_most_test_cases_raise_counts(tmp_path):
    trace = 'Traceback (most recent call last):\n  File "x", line 1, in f\n{}: message\n'
    errors = ("AssertionError", "KeyError", "KeyError")
    details = {f"case_{i}": trace.format(name) for i, name in enumerate(errors)}
    found = {"task_id": "b/1", "solution": "x = 1", "status": "fail", "details": details}
    path = tmp_path / "x.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"eval": {"b/1": [found]}}).encode()))
    (line,) = read_published(path)
    assert (line["outcome"], line["error"]) == ("runtime_error", "KeyError: message")


def test_the_last_exception_of_a_chain_is_named():
    assert (
        last_error("a.B: no\nValueError: 1\n\nDuring handling\n\nOSError: 2\n  more: text\n") == "OSError: 2"
    )


def test_real_mbpp_failures_are_wrong_values_with_one_syntax_error():
    path = shared_data("outputs/tuned-1.5b-half/mbpp.verdicts.json.gz")
    classes = count_classes(classify(line, {}, {}) for line in read_published(path))
    assert classes == {"passed": 237, "syntax": 1, "wrong_answer": 107, "plus_only": 33}


def test_real_bigcodebench_failures_are_half_assertions_and_half_misuse():
    path = shared_data("outputs/tuned-1.5b-half/bigcodebench_instruct_full.verdicts.json.gz")
    lines = [line for line in read_published(path) if classify(line, {}, {}) != "passed"]
    names = Counter(error_name(line["error"]) for line in lines)
    assert len(lines) == 838
    assert [round(100 * names[n] / 838) for n in ("AssertionError", "ValueError", "TypeError")] == [
        44,
        14,
        13,
    ]
