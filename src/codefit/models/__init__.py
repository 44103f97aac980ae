"""Find and load models and tokenizers; the one place that calls transformers' loaders."""
