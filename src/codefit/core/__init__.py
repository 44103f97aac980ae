"""Nouns, recipe, run folder, errors, progress, seeds; imports nothing above it."""
