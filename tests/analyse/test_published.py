"""Published verdict files of other harnesses."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest

from codefit.analyse.published import last_error, read_published
from codefit.analyse.runfiles import _task_record
from codefit.analyse.sides import compare_all, read_side
from codefit.analyse.taxonomy import classify, count_classes, error_name
from codefit.core.errors import InputError
from codefit.suites.load import load_suite
from tests.shared_data import shared_data


def test_a_file_without_results_is_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(InputError, match="not a published result file"):
        list(read_published(path))


@pytest.mark.parametrize("damage", ["cut off", "overwritten"])
def test_a_damaged_file_is_refused_and_not_taken_for_an_interrupt(tmp_path, damage):
    packed = gzip.compress(
        json.dumps({"eval": {f"Mbpp/{i}": [{"base_status": "pass"}] for i in range(99)}}).encode()
    )
    path = tmp_path / "x.json.gz"
    path.write_bytes(packed[:-20] if damage == "cut off" else packed[:40] + b"\xff" * 40 + packed[80:])
    with pytest.raises(InputError, match=r"x\.json\.gz: damaged: "):
        list(read_published(path))


@pytest.mark.parametrize("sample", [{"solution": "x = 1"}, {"base_status": "skipped"}, {"status": None}])
def test_a_sample_without_a_known_status_is_not_counted_as_wrong(tmp_path, sample):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"eval": {"Mbpp/2": [sample]}}))
    with pytest.raises(InputError, match="no results of Mbpp/2"):
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
    """The counts of the evidence: 43.6, 14, 13, 12, 6, about 2 each, syntax about 0.2 %.

    One task of 838 differs for the assertions (43.7): where test cases raise several exceptions, the
    most frequent one counts here.
    """
    path = shared_data("outputs/tuned-1.5b-half/bigcodebench_instruct_full.verdicts.json.gz")
    lines = [line for line in read_published(path) if classify(line, {}, {}) != "passed"]
    names = Counter(error_name(line["error"]) for line in lines)
    assert len(lines) == 838
    shares = {
        "AssertionError": 43.7,
        "ValueError": 14.3,
        "TypeError": 13.0,
        "AttributeError": 11.8,
        "KeyError": 6.4,
        "FileNotFoundError": 2.0,
        "NameError": 1.8,
        "IndexError": 1.8,
    }
    assert {n: round(100 * names[n] / 838, 1) for n in shares} == shares
    classes = count_classes(classify(line, {}, {}) for line in lines)
    assert (classes["syntax"], classes["api_misuse"]) == (2, 397)


def test_with_the_tasks_at_hand_most_wrong_values_are_on_the_shown_test():
    tasks = shared_data("mbpp_plus_v0.2.0.jsonl.gz")
    path = shared_data("outputs/tuned-1.5b-half/mbpp.verdicts.json.gz")
    known = {t.task_id: _task_record(t.prompt, t.entry_point, None) for t in load_suite("mbpp+", tasks).tasks}
    lines = list(read_published(path))
    classes = count_classes(classify(line, {}, known[line["task_id"]]) for line in lines)
    assert classes == {"passed": 237, "syntax": 1, "visible_wrong": 88, "hidden_wrong": 18,
                       "wrong_answer": 1, "plus_only": 33}  # fmt: skip


def test_the_churn_of_two_published_files_is_what_was_counted_by_hand():
    before = read_side(shared_data("outputs/qwen2.5-coder-1.5b-base/mbpp.verdicts.json.gz"))
    after = read_side(shared_data("outputs/tuned-1.5b-half/mbpp.verdicts.json.gz"))
    with pytest.raises(InputError, match="differ in revision"):
        compare_all(before, after)
    found = compare_all(before, after, allow_different_harness=True)
    cells = [[c[k] for k in ("both", "fixed", "broken", "neither")] for c in found]
    assert cells == [[231, 39, 34, 74], [196, 41, 29, 112]]
    assert all(c["stamp"] for c in found)
