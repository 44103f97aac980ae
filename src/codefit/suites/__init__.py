"""Benchmarks: tasks, oracles, code extraction, and the judge that turns completions into verdicts."""
