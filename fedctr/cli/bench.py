"""``fedctr bench``: client strategies side by side."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from fedctr.errors import FedctrError


def bench(
    experiment: Annotated[
        Path | None, typer.Argument(help="A TOML file with the options below as keys; options given here override it.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Data set, such as movielens-100k or synthetic\\[users=500].")
    ] = None,
    path: Annotated[Path | None, typer.Option(help="Its official files, as a folder or an archive.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Click model: lr, ncf, wide-deep, din, or din\\[embedding=16].")
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            "--strategies",
            "--strategy",
            help="Separated by commas; options in brackets, as in label-correction\\[variant=shift]; "
            "your own as my_module:MyStrategy. `fedctr strategies` lists them.",
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="How many; each trains its own global model.")] = None,
    partitions: Annotated[int | None, typer.Option(help="Simulated Flower clients; changes no result.")] = None,
    backend: Annotated[
        str | None, typer.Option(help="ray: clients in parallel processes. inline: in this process, to debug.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="HOST:PORT of an existing Ray cluster, by default $RAY_ADDRESS.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda, for fine-tuning. Untested on real GPUs.")] = None,
    published: Annotated[
        Path | None,
        typer.Option(help="Take the global models of this run of fedctr train or bench, instead of training some."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; a run that was stopped goes on where it was.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json instead of the table.")] = False,
) -> None:
    """Train a global model, fine-tune it on every user's device with every strategy, and compare.

    Learning rate and epochs are chosen for each strategy on validation; the test part is scored once.

    Example: fedctr bench --dataset movielens-100k --model din
    --strategies no-fine-tuning,fine-tuning,label-correction --seeds 3 --partitions 4 --out runs/first
    """
    from fedctr.benchmark import bench as run
    from fedctr.config import Experiment
    from fedctr.progress import Terminal

    given: dict[str, Any] = {
        "dataset": dataset,
        "path": path,
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
    # A stranger's module is looked for where the command was given, after everything that is installed.
    sys.path.append(str(Path.cwd()))
    values: dict[str, Any] = {}
    if experiment:
        values = Experiment.read(experiment)
        Experiment.of(values, str(experiment))
    resolved = Experiment.of(values | given, "bench")
    # What a stranger's strategy prints must not get between the lines of a result.
    with redirect_stdout(sys.stderr), Terminal() as reporter:
        result = run(resolved, reporter)
    if as_json:
        typer.echo(json.dumps(result.summary, indent=1))
    else:
        typer.echo(result.table())
        typer.echo(f"Run folder: {result.folder}")
    if result.complaint:
        raise FedctrError(result.complaint)
