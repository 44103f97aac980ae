"""`codefit compare`: two judged models, paired by task, with churn, cases and the gate."""

from __future__ import annotations

from pathlib import Path

import click

from codefit.cli import show
from codefit.core.errors import GateNotPassed, InputError
from codefit.core.files import write_json
from codefit.score.several import gate as gate_of


@click.command()
@click.argument("before", metavar="BASE", type=click.Path(path_type=Path))
@click.argument("after", metavar="TUNED", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option(
    "--gate",
    is_flag=True,
    help="Exit 4 unless every gain's lower bound is above 0 and no guard's is under -2 points.",
)
@click.option(
    "--guard",
    "guards",
    multiple=True,
    metavar="SUITE",
    help="Watch this suite for loss only; may be given again.",
)
@click.option(
    "--allow-different-harness",
    is_flag=True,
    help="Compare what was not judged alike, on the tasks that both have; stamps the result.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of the bootstrap and of the cases."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def compare(
    before: Path, after: Path, out: Path, gate: bool, guards: tuple[str, ...], allow_different_harness: bool,
    seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Compare two judged models, pairing them by task.

    BASE and TUNED are folders that `execute` or `evaluate` wrote, folders of such folders (as a run's arms/NAME),
    or result files as evalplus and BigCodeBench publish them. Refused where suite, revision, harness, extraction,
    prompts, decoding or tasks differ. OUT gets comparison.json, findings.json (failures, churn, cases) and the
    files of both sides, laid out as a run's.
    """
    from codefit.analyse import findings
    from codefit.analyse.sides import compare_all, read_side, write_as_run

    if (out / "manifest.json").exists():
        raise InputError("holds a run or judged completions", where=str(out), todo="choose another --out")
    sides = read_side(before), read_side(after)
    found = compare_all(*sides, guards=guards, seed=seed, allow_different_harness=allow_different_harness)
    write_as_run(out, *sides, found)
    write_json(out / "findings.json", findings(out, seed=seed))
    verdict = gate_of(found)
    result = {"before": str(before), "after": str(after), "comparisons": found, "gate": verdict}
    write_json(out / "comparison.json", result)
    if as_json:
        show.print_json({"out": str(out), "comparisons": found, "gate": verdict})
    else:
        for c in found:
            click.echo(show.comparison_line(c))
            for line in show.stamp_lines(c):
                click.echo(line)
        click.echo(f"Results: {out / 'comparison.json'}, churn and cases: {out / 'findings.json'}")
    if gate and not verdict["passed"]:
        raise GateNotPassed(show.why_shut(verdict), where="--gate")
