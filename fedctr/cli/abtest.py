"""``fedctr abtest``: a simulated A/B test."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedctr.cli.options import Backend, Files, Quiet, RayAddress

if TYPE_CHECKING:
    from fedctr.online.settings import ABTest


def abtest(
    experiment: Annotated[
        Path, typer.Argument(help="A TOML file that describes world, arms and days; options given here override it.")
    ],
    path: Files = None,
    seed: Annotated[int | None, typer.Option(help="Of the world, the arms and all training.")] = None,
    partitions: Annotated[int | None, typer.Option(help="Simulated Flower clients; changes no result.")] = None,
    backend: Backend = None,
    ray_address: RayAddress = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; a run that was stopped goes on after its last day.")
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="Simulate only the days before the test, and tell which lifts it could find; it goes on from there.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print summary.json instead of the table, or with --plan plan.json.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Simulate an A/B test: devices fine-tune in the night, rank by day, and learn from what they have shown.

    Users are split over arms, each with a client strategy. A file has world, arms, model, days, pre_days, warm_up_days,
    retrain_every, aa and the rest of fedctr.ABTest as its keys.

    Example: fedctr abtest experiments/aa.toml --out runs/aa
    """
    from fedctr.online.settings import ABTest

    given: dict[str, Any] = {
        "path": path,
        "seed": seed,
        "partitions": partitions,
        "backend": backend,
        "ray_address": ray_address,
        "out": out,
    }
    given = {key: value for key, value in given.items() if value is not None}
    values = ABTest.read(experiment)
    ABTest.of(values, str(experiment))
    settings = ABTest.of(values | given, "abtest")
    if plan:
        _plan(settings, as_json, quiet)
    else:
        _test(settings, as_json, quiet)


def _test(settings: "ABTest", as_json: bool, quiet: bool) -> None:
    from fedctr.online.abtest import abtest as run
    from fedctr.progress import Terminal
    from fedctr.report.report import write_report

    # What a stranger's strategy prints must not get between the lines of a result.
    with redirect_stdout(sys.stderr), Terminal(quiet) as reporter:
        outcome = run(settings, reporter)
    if as_json:
        typer.echo(json.dumps(outcome.summary, indent=1))
    else:
        typer.echo(outcome.table())
        for sentence in outcome.conclusion():
            typer.echo(sentence)
        typer.echo(f"Run folder: {outcome.folder}")
    report = write_report(outcome.folder)
    if not as_json:
        typer.echo(f"Report: {report}")


def _plan(settings: "ABTest", as_json: bool, quiet: bool) -> None:
    from fedctr.online.abtest import plan as run
    from fedctr.progress import Terminal

    with redirect_stdout(sys.stderr), Terminal(quiet) as reporter:
        forecast = run(settings, reporter)
    if as_json:
        typer.echo(json.dumps(forecast.summary, indent=1))
    else:
        typer.echo(forecast.table())
        typer.echo(f"Run folder: {forecast.folder}; without --plan, --out {forecast.folder} goes on from there.")
