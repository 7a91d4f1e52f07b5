"""MLflow: a run in the store that ``MLFLOW_TRACKING_URI`` names, in the experiment of ``MLFLOW_EXPERIMENT_NAME``."""

import hashlib
import os
import re

from mlflow import MlflowClient, get_tracking_uri
from mlflow.entities import Metric, Param, RunStatus
from mlflow.exceptions import MlflowException

from fedctr.errors import FedctrError
from fedctr.tracking.record import Record

EXPERIMENT = "fedctr"
AT_ONCE = 100  # parameters in a request, at most; of metrics it takes more


def show(record: Record) -> str:
    """Make a run of what there is to show, in the place of one made before, and say where.

    Raises:
        FedctrError: when MLflow's store cannot be reached or written.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # MLflow would try for minutes, without a word
    try:
        return _show(record, MlflowClient())
    except (MlflowException, OSError) as error:
        raise FedctrError(f"MLflow's store {get_tracking_uri()}: {error}; check $MLFLOW_TRACKING_URI") from error


def _show(record: Record, client: MlflowClient) -> str:
    experiment = _experiment(client, os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT))
    place = str(record.folder.absolute())
    key = hashlib.sha256(place.encode()).hexdigest()[:32]  # a path may hold what a search could not quote
    before = client.search_runs([experiment], f"tags.`fedctr.key` = '{key}'")
    moment = int(record.date.timestamp() * 1000)
    tags = {
        "mlflow.note.content": f"{record.headline}\n\n{record.table}",
        "fedctr.folder": place,
        "fedctr.key": key,
        **{f"fedctr.{name}": value for name, value in record.facts.items()},
    }
    run = client.create_run(experiment, start_time=moment, tags=tags, run_name=record.folder.name).info.run_id
    parameters = [Param(name, value) for name, value in record.settings.items()]
    metrics = [Metric(_name(name), value, moment, 0) for name, value in record.figures.items()]
    metrics += [
        Metric(_name(name), value, moment, step) for name, curve in record.curves.items() for step, value in curve
    ]
    for start in range(0, max(len(parameters), len(metrics)), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        client.log_batch(run, metrics=metrics[part], params=parameters[part])
    for file in record.files:
        client.log_artifact(run, str(file))
    if record.finished:
        client.set_terminated(run, RunStatus.to_string(RunStatus.FINISHED), end_time=moment)
    for old in before:
        client.delete_run(old.info.run_id)
    return f"{client.tracking_uri}, run {run}"


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


def _name(name: str) -> str:
    """MLflow takes letters, digits and a few signs, so the brackets of a strategy's options become spaces."""
    return re.sub(r"[^\w/.:\- ]+", " ", name, flags=re.ASCII).replace(" /", "/")
