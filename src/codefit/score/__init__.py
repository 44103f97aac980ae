"""Statistics: pass@k, intervals, paired tests, minimum detectable difference, comparison."""
