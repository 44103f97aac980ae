"""codefit: tune a small code model on one 8 GB GPU, and prove that it got better."""

__version__ = "0.1.0"
