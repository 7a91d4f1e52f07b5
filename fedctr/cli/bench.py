"""``fedctr bench``: client strategies side by side."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedctr.cli.options import Backend, BadRows, DataSet, File, Files, Quiet, RayAddress
from fedctr.errors import FedctrError

if TYPE_CHECKING:
    from fedctr.config import Experiment


def bench(
    experiment: File = None,
    dataset: DataSet = None,
    path: Files = None,
    on_bad_row: BadRows = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Click model: lr, fm, ncf, wide-deep, deepfm, pnn, dcn-v2, autoint, din or dien, with options if you "
            "like: din\\[embedding=16]."
        ),
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            "--strategies",
            "--strategy",
            help="Separated by commas; options in brackets, as in label-correction\\[variant=shift]; "
            "your own as my_module:MyStrategy. `fedctr strategies` lists them; all stands for every one that is "
            "installed and fits the model, and sorts the table by GAUC.",
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="How many; each trains its own global model.")] = None,
    partitions: Annotated[int | None, typer.Option(help="Simulated Flower clients; changes no result.")] = None,
    backend: Backend = None,
    ray_address: RayAddress = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda, for fine-tuning. Untested on real GPUs.")] = None,
    published: Annotated[
        Path | None,
        typer.Option(help="Take the global models of this run of fedctr train or bench, instead of training some."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; a run that was stopped goes on where it was.")] = None,
    datasets: Annotated[
        str | None, typer.Option(help="Of a grid, only the experiments with these data sets, separated by commas.")
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="Of a grid, only the experiments with these models, separated by commas.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json instead of the table.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a global model, fine-tune it on every user's device with every strategy, and compare.

    Learning rate and epochs are chosen for each strategy on validation; the test part is scored once.
    A file may also have learning_rates, epochs, batch_size, optimiser, and the tables local, split and cloud. One with
    axes is a grid: all its experiments are run, and compared in one table.

    Example: fedctr bench --dataset movielens-100k --model din
    --strategies no-fine-tuning,fine-tuning,label-correction --seeds 3 --partitions 4 --out runs/movielens
    """
    from fedctr.config import Experiment
    from fedctr.grid.plan import is_grid

    given: dict[str, Any] = {
        "dataset": dataset,
        "path": path,
        "on_bad_row": on_bad_row,
        "model": model,
        "strategies": strategies,
        "seeds": seeds,
        "partitions": partitions,
        "backend": backend,
        "ray_address": ray_address,
        "device": device,
        "published": published,
        "out": out,
    }
    given = {key: value for key, value in given.items() if value is not None}
    values = Experiment.read(experiment) if experiment else {}
    if experiment and is_grid(values):
        _bench_grid(values, given, experiment, datasets, models, as_json, quiet)
        return
    for option, restricted in (("--datasets", datasets), ("--models", models)):
        if restricted is not None:
            raise FedctrError(
                f"{option} chooses among the experiments of a grid; give a file with axes, or {option[:-1]}"
            )
    if experiment:
        Experiment.of(values, str(experiment))
    _bench_one(Experiment.of(values | given, "bench"), as_json, quiet)


def _bench_one(experiment: "Experiment", as_json: bool, quiet: bool) -> None:
    from fedctr.benchmark import bench as run
    from fedctr.composition import ALL
    from fedctr.progress import Terminal
    from fedctr.report.report import write_report

    # What a stranger's strategy prints must not get between the lines of a result.
    with redirect_stdout(sys.stderr), Terminal(quiet) as reporter:
        result = run(experiment, reporter)
    if as_json:
        typer.echo(json.dumps(result.summary, indent=1))
    else:
        typer.echo(result.table(ranked=ALL in experiment.strategies))
        typer.echo(f"Run folder: {result.folder}")
    report = write_report(result.folder)
    if not as_json:
        typer.echo(f"Report: {report}")
    if result.complaint:
        raise FedctrError(result.complaint)


def _bench_grid(
    values: dict[str, Any],
    given: dict[str, Any],
    file: Path,
    datasets: str | None,
    models: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    from fedctr.grid.keep import keep, to_json
    from fedctr.grid.plan import plan
    from fedctr.grid.tables import text
    from fedctr.grid.work import run
    from fedctr.progress import Terminal
    from fedctr.registry import split_specs
    from fedctr.report.report import write_report

    chosen = plan(values, given, file)
    for key, option, wanted in (("dataset", "--datasets", datasets), ("model", "--models", models)):
        chosen = chosen if wanted is None else chosen.only(key, split_specs(wanted), option)
    with redirect_stdout(sys.stderr), Terminal(quiet) as reporter:
        outcomes = run(chosen, reporter)
        keep(outcomes, chosen.out)
    if as_json:
        typer.echo(to_json(outcomes), nl=False)
    else:
        typer.echo(text(outcomes))
        typer.echo(f"Folder of the grid: {chosen.out}")
    report = write_report(chosen.out)
    if not as_json:
        typer.echo(f"Report: {report}")
    if any(outcome.failed for outcome in outcomes):
        raise typer.Exit(1)
