"""Leaks: how a training row can give away a test task, one signal a file."""
