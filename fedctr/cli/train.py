"""``fedctr train``: a global model by federated rounds."""

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from fedctr.cli.options import Backend, BadRows, DataSet, File, Files, Quiet, RayAddress
from fedctr.errors import FedctrError


def train(
    training: File = None,
    dataset: DataSet = None,
    path: Files = None,
    on_bad_row: BadRows = None,
    model: Annotated[str | None, typer.Option(help="Click model, such as din or wide-deep\\[embedding=8].")] = None,
    aggregation: Annotated[
        str | None,
        typer.Option(
            help="How a round becomes a model: fedavg, fedadam\\[eta=0.01], fedyogi, fedprox\\[proximal_mu=0.1], "
            "reptile\\[step=0.5], per-fedavg\\[step=0.5]; fedmedian and krum, which compare partitions."
        ),
    ] = None,
    averaging: Annotated[
        str | None,
        typer.Option(
            help="Over whom an embedding row's change is averaged: all users of a round, or its holders (FedSubAvg)."
        ),
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Client strategy of the local steps, such as fine-tuning or label-correction.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="How many.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Step size of the local steps.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the local samples in a round.")] = None,
    users_per_round: Annotated[
        float | None, typer.Option(help="Share of the users that are sampled for a round.")
    ] = None,
    dropout: Annotated[float | None, typer.Option(help="How likely a sampled user never replies.")] = None,
    stragglers: Annotated[float | None, typer.Option(help="How likely one gets through one epoch only.")] = None,
    personal: Annotated[
        str | None, typer.Option(help="Parameters that stay on the devices, such as 'deep.*,attention.*'.")
    ] = None,
    best_by: Annotated[
        str | None, typer.Option(help="What is best on validation in the round that is published: log-loss or auc.")
    ] = None,
    beside_cloud: Annotated[
        bool | None,
        typer.Option(
            "--beside-cloud", help="Train the same model in the cloud too, and score both on test.", show_default=False
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="How many; each trains its own model.")] = None,
    partitions: Annotated[
        int | None, typer.Option(help="Simulated Flower clients; changes no result, but of fedmedian and krum.")
    ] = None,
    backend: Backend = None,
    ray_address: RayAddress = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; a run that was stopped goes on after its last round.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the published rounds as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a global model by federated rounds of local steps on the users' devices.

    Every user counts the same. After each round the model is measured on the validation part; the best round of each
    seed is published for fedctr bench --published. A file may also have batch_size, alternate, round_seconds, and the
    tables split and privacy.

    Example: fedctr train --dataset movielens-100k --model din --aggregation fedadam --rounds 100
    --users-per-round 0.2 --out runs/fedadam
    """
    from fedctr.federated.settings import Training
    from fedctr.federated.training import train as run
    from fedctr.progress import Terminal
    from fedctr.report.report import write_report

    given: dict[str, Any] = {
        "dataset": dataset,
        "path": path,
        "on_bad_row": on_bad_row,
        "model": model,
        "aggregation": aggregation,
        "averaging": averaging,
        "strategy": strategy,
        "rounds": rounds,
        "learning_rate": learning_rate,
        "epochs": epochs,
        "users_per_round": users_per_round,
        "dropout": dropout,
        "stragglers": stragglers,
        "personal": personal,
        "best_by": best_by,
        "beside_cloud": beside_cloud,
        "seeds": seeds,
        "partitions": partitions,
        "backend": backend,
        "ray_address": ray_address,
        "out": out,
    }
    given = {key: value for key, value in given.items() if value is not None}
    values: dict[str, Any] = {}
    if training:
        values = Training.read(training)
        Training.of(values, str(training))
    resolved = Training.of(values | given, "train")
    # What a stranger's strategy prints must not get between the lines of a result.
    with redirect_stdout(sys.stderr), Terminal(quiet) as reporter:
        result = run(resolved, reporter)
    report = write_report(result.folder)
    if as_json:
        found = {"folder": str(result.folder), "published": result.best().to_dict("records")}
        if result.beside_cloud:
            found["beside_cloud"] = [asdict(each) for each in result.beside_cloud]
        typer.echo(json.dumps(found, indent=1))
    else:
        for row in result.best().itertuples():
            typer.echo(
                f"seed {row.seed}: round {row.round} of {resolved.rounds} is published, "
                f"validation log loss {row.log_loss:.4f}, AUC {row.auc:.4f}"
            )
        for beside in result.beside_cloud:
            typer.echo(str(beside))
        typer.echo(f"Run folder: {result.folder}")
        typer.echo(f"Report: {report}")
    if result.complaint:
        raise FedctrError(result.complaint)
