"""Tasks of our own in BigCodeBench's layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEST = """
import unittest
from unittest.mock import patch
class TestCases(unittest.TestCase):
    def test_small(self):
        self.assertEqual(task_func(1), 2)
    def test_large(self):
        self.assertEqual(task_func(10**12), 10**12 + 1)
    def test_type(self):
        value = task_func(5)
        self.assertIsInstance(value, int)
        self.assertTrue(value == 6)
    def test_order(self):
        self.assertGreater(task_func(3), 3)
        self.assertLess(task_func(3), 5)
    @patch("os.getcwd", return_value="/nowhere")
    def test_refuses(self, _):
        with self.assertRaises(ValueError):
            task_func(-1)
"""
# what is asserted is computed before, so that nothing of the assertion is looked up yet
RESULTS_TEST = """
import unittest
class TestCases(unittest.TestCase):
    def test_small(self):
        result = task_func(1)
        self.assertEqual(result, 2)
    def test_large(self):
        result = task_func(10**12)
        expected = 1000000000001
        self.assertEqual(result, expected)
    def test_type(self):
        value = task_func(5)
        self.assertIsInstance(value, int)
        self.assertTrue(value == 6)
    def test_order(self):
        result = task_func(3)
        self.assertGreater(result, 3)
        self.assertLess(result, 5)
"""
HEAD = "import math\ndef task_func(x):\n"
REFERENCE = "    if x < 0:\n        raise ValueError('negative')\n    return x + 1\n"
RIGHT = f"def task_func(x):\n{REFERENCE}"
NAMES = ("test_large", "test_order", "test_refuses", "test_small", "test_type")


def task(number: int = 0, test: str = TEST, head: str = HEAD, reference: str = REFERENCE) -> dict[str, Any]:
    return {
        "task_id": f"BigCodeBench/{number}",
        "complete_prompt": f'{head}    """Return the next number."""\n',
        "instruct_prompt": "Write a function that returns the next number.",
        "canonical_solution": reference,
        "code_prompt": head,
        "test": test,
        "entry_point": "task_func",
        "doc_struct": "{}",
        "libs": "[]",
    }


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def solutions(path: Path, programs: list[str], number: int = 0) -> Path:
    rows = [{"task_id": f"BigCodeBench/{number}", "solution": p} for p in programs]
    return write_lines(path, rows)


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
