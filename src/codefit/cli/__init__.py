"""The command line: parse, call, render. Verbs are imported when they are used."""
