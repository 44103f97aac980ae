"""Leave with a model: merged weights and tokenizer in one folder that plain transformers loads."""
