"""Federated training beside training in the cloud: the same samples, the same initial parameters."""

import json
from dataclasses import asdict, dataclass

from fedctr.cloud import CloudTraining, evaluate, publish
from fedctr.data.split import Part
from fedctr.errors import FedctrError
from fedctr.features import Features
from fedctr.federated.run import TrainingRun
from fedctr.folder import write_whole
from fedctr.interruption import after_each_epoch
from fedctr.models.model import Model
from fedctr.protocol import best_rounds

NEAR = 0.01  # of AUC


@dataclass(frozen=True)
class BesideCloud:
    """What one seed has published, beside the model that ``fedctr bench`` trains in the cloud.

    Attributes:
        seed: which one.
        round: whose model is published.
        validation_auc: of that model, on the validation samples of all users together.
        cloud_validation_auc: of the cloud's.
        test_auc: of the published model, on the test samples.
        cloud_test_auc: of the cloud's.
        near: the first round whose AUC on validation is above the cloud's, or below by at most ``NEAR``; None for none.
    """

    seed: int
    round: int
    validation_auc: float
    cloud_validation_auc: float
    test_auc: float
    cloud_test_auc: float
    near: int | None

    def __str__(self) -> str:
        gap = self.test_auc - self.cloud_test_auc
        near = f"after {self.near} rounds" if self.near else "in no round"
        return (
            f"seed {self.seed}: test AUC {self.test_auc:.4f}, trained in the cloud {self.cloud_test_auc:.4f}, "
            f"difference {gap:+.4f}; on validation within {NEAR} of the cloud {near}"
        )


def beside_cloud(run: TrainingRun) -> tuple[BesideCloud, ...]:
    """Score what every seed of a finished training has published, and leave that in ``beside-cloud.json``.

    Raises:
        FedctrError: when training in the cloud diverges, or its model cannot be kept.
        StoppedError: when ``run.stop`` was set.
    """
    best = best_rounds(run.rounds, run.training.best_by)
    found = tuple(_beside(run, seed, number) for seed, number in best[["seed", "round"]].to_numpy().tolist())
    text = json.dumps([asdict(each) for each in found], indent=1) + "\n"
    write_whole(run.folder / "beside-cloud.json", lambda file: file.write_text(text, encoding="utf-8"))
    return found


def _beside(run: TrainingRun, seed: int, published: int) -> BesideCloud:
    federated, cloud = run.kept_published(seed), _cloud(run, seed)
    assert federated is not None
    features = Features(run.dataset, run.parts, range(run.dataset.users), cloud.history_length)
    goal = _auc(cloud, features, "validation")
    later = run.rounds[(run.rounds["seed"] == seed) & (run.rounds["round"] > 0)]
    near = later.loc[later["auc"] >= goal - NEAR, "round"]
    return BesideCloud(
        seed,
        published,
        _auc(federated.model, features, "validation"),
        goal,
        _auc(federated.model, features, "test"),
        _auc(cloud, features, "test"),
        int(near.iloc[0]) if len(near) else None,
    )


def _cloud(run: TrainingRun, seed: int) -> Model:
    """What the cloud trains with the hyperparameters that a benchmark has by default."""
    training, settings = run.training, CloudTraining()
    run.reporter.phase(f"cloud: {training.model}, seed {seed}", settings.epochs, "epochs")
    published, _ = publish(training.model, run.dataset, training.rule, settings, seed, after_each_epoch(run))
    run.reporter.finish()
    return published.model


def _auc(model: Model, features: Features, part: Part) -> float:
    measured = evaluate(model, features, part)
    if measured is None:
        raise FedctrError(f"a model of {features.dataset.name} gives logits on its {part} part that are not finite")
    return measured["auc"]
