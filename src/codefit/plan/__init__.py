"""Memory before the run: bytes per component with the formula, what fits, how long it takes."""
