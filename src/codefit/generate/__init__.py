"""Completions: an engine answers prompts; an append-only cache makes it resumable."""
