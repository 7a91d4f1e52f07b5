"""Global models that another run has published, to be personalised in a benchmark."""

from pathlib import Path
from typing import Any

from fedctr.config import Experiment
from fedctr.data.dataset import Dataset
from fedctr.errors import FedctrError
from fedctr.folder import read_json
from fedctr.published import Published


def published_by(folder: Path, experiment: Experiment, dataset: Dataset) -> list[tuple[Published, dict[str, Any]]]:
    """The model of every seed of an experiment and the facts on its training, from another run.

    Args:
        folder: of a run of ``fedctr train`` or ``fedctr bench``.
        experiment: must have the same data set, model and split, and no more seeds.
        dataset: the experiment's.

    Raises:
        FedctrError: when something differs, or a model is missing or damaged.
    """
    identity = read_json(folder / "identity.json")
    if not isinstance(identity, dict) or "content_hash" not in identity:
        raise FedctrError(f"published: {folder} is not the folder of a run of fedctr train or fedctr bench")
    if identity["content_hash"] != dataset.content_hash:
        raise FedctrError(
            f"published: {folder} was trained on other samples, {identity['dataset']}; "
            f"this experiment has {experiment.dataset} with other content"
        )
    science = experiment.science()
    for key in ("model", "split"):
        if identity[key] != science[key]:
            raise FedctrError(f"published: {folder} has {key} {identity[key]}, this experiment {science[key]}")
    found = []
    for seed in range(experiment.seeds):
        of_seed = folder / "published" / f"seed-{seed}"
        if not of_seed.is_dir():
            raise FedctrError(
                f"published: {folder} has no model of seed {seed}, which seeds = {experiment.seeds} asks for; "
                "lower it, or train more"
            )
        found.append(Published.load(of_seed))
    return found
