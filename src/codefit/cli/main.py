"""Entry point: lazy verbs, one-line errors, exit codes, Ctrl-C."""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
import traceback
import warnings
from types import FrameType
from typing import NoReturn

import click

from codefit import __version__
from codefit.core.errors import CodefitError, ExitCode, InputErrors, did_you_mean

# verb: (module:attribute, one-line help); the help stands here so that --help imports no verb.
VERBS: dict[str, tuple[str, str]] = {
    "demo": ("codefit.cli.run:demo", "The whole job on the embedded stand-in model, CPU only."),
    "run": ("codefit.cli.run:run", "Do everything a recipe says; run it again to resume."),
    "recipe": ("codefit.cli.recipe:recipe", "List, show, copy and check recipes."),
    "doctor": ("codefit.cli.doctor:doctor", "Check this machine, with the fix for what is missing."),
    "plan": ("codefit.cli.plan:plan", "Predict the memory of a training before it runs."),
    "curate": ("codefit.cli.run:curate", "Run a recipe as far as its curated rows."),
    "data": ("codefit.cli.data:data", "Look at what the model will see."),
    "decontaminate": ("codefit.cli.data:decontaminate", "Find rows that give away a test set."),
    "verify": ("codefit.cli.data:verify", "Run every solution of every row against the row's tests."),
    "sample": ("codefit.cli.run:sample", "Rejection sampling: a model's own answers, verified."),
    "train": ("codefit.cli.run:train", "Run a recipe as far as its trained model."),
    "generate": ("codefit.cli.evaluate:generate", "Let a model answer a benchmark."),
    "execute": ("codefit.cli.evaluate:execute", "Judge completions in the sandbox: verdicts and scores."),
    "evaluate": ("codefit.cli.evaluate:evaluate", "Generate and execute."),
    "compare": ("codefit.cli.compare:compare", "Compare two evaluated models on the same tasks."),
    "analyse": (
        "codefit.cli.analyse:analyse",
        "Analyse a run or a comparison again, with programs' traits.",
    ),
    "models": ("codefit.cli.models:models", "Models to start from: published scores and the memory plan."),
    "env": ("codefit.cli.env:env", "Environments with a benchmark's libraries."),
    "report": ("codefit.cli.run:report", "Write a run's report again."),
    "export": ("codefit.cli.export:export", "Leave with a model."),
}


class _Verbs(click.Group):
    """Imports a verb's module only when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], VERBS)
            raise click.UsageError(f"no verb '{args[0]}'" + (f"; {hint}" if hint else "; see codefit --help"))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="codefit")
def main() -> None:
    """Tune a small code model on one 8 GB GPU, and prove that it got better.

    Start with `codefit demo`. Exit codes: 0 done, 1 a bug of ours, 2 your input, 3 something is
    missing on this machine, 4 a gate was not passed, 130 interrupted.
    """


def _second_interrupt(signum: int, frame: FrameType | None) -> None:
    os._exit(ExitCode.INTERRUPTED)


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signum, _second_interrupt)
    raise KeyboardInterrupt


def _say(line: str) -> None:
    print(f"codefit: {line}", file=sys.stderr)


def _os_error(error: OSError) -> int:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        _say(f"{error.filename or 'disk'}: no space left; free some and run the same command again")
        return ExitCode.PREREQUISITE
    _say(f"{error.filename or 'system'}: {error.strerror or error}")
    return ExitCode.INPUT


def _lenient_output() -> None:
    """Escape what the terminal's encoding lacks; printing must not end a run that is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _usage(error: click.ClickException) -> int:
    text = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":  # since click 8.2; before, click prints and exits 0
        print(text)
        return ExitCode.OK
    _say(" ".join(text.split()))
    return ExitCode.INPUT


def entry() -> NoReturn:
    """Run the command line and end the process with the right exit code."""
    _lenient_output()
    # Rows are parsed, not run; Python 3.12 says of each odd escape in them what 3.11 kept to itself.
    warnings.filterwarnings("ignore", category=SyntaxWarning, module="<unknown>")
    os.environ.setdefault("PYTHONWARNINGS", "ignore::SyntaxWarning:<unknown>")  # in processes beside this one
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    # Spinning OpenMP threads make torch ten times slower beside any other busy process.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = main.main(prog_name="codefit", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else ExitCode.OK)
    except click.exceptions.Exit as e:
        sys.exit(e.exit_code)
    except click.ClickException as e:
        sys.exit(_usage(e))
    except InputErrors as e:
        for line in e.lines():
            _say(line)
        sys.exit(e.exit_code)
    except CodefitError as e:
        _say(e.line())
        sys.exit(e.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted; run the same command again to go on")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OK)
    except OSError as e:
        sys.exit(_os_error(e))
    except Exception as e:
        if os.environ.get("CODEFIT_DEBUG"):
            traceback.print_exc()
        at = traceback.extract_tb(e.__traceback__)[-1]
        _say(
            f"bug in codefit: {type(e).__name__}: {e} ({at.filename}:{at.lineno}); CODEFIT_DEBUG=1 shows more"
        )
        sys.exit(ExitCode.BUG)


if __name__ == "__main__":
    entry()
