"""`python -m codefit`."""

from codefit.cli.main import entry

entry()
