from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fedctr.data.cache import open_dataset
from fedctr.data.split import Fractions, Part, split
from fedctr.features import Features
from fedctr.judgement import Columns
from fedctr.models.model import models
from fedctr.personalise import personalise
from fedctr.protocol import Trial, best_rounds, choose, validation_curve
from fedctr.published import Published
from fedctr.strategy import strategies
from fedctr.task import Task
from fedctr.threads import single_thread
from tests.application import DATASET, MODEL

NAN = float("nan")


def rows(*trials: tuple[float, int, int, list[float], bool]) -> pd.DataFrame:
    """Validation rows: learning rate, epochs, seed, AUC of each user, whether one diverged."""
    return pd.DataFrame(
        [
            {"learning_rate": rate, "epochs": epochs, "seed": seed, "auc": auc, "diverged": diverged}
            for rate, epochs, seed, aucs, diverged in trials
            for auc in aucs
        ]
    )


def curve(*trials: tuple[float, int, float, int]) -> pd.DataFrame:
    return pd.DataFrame(trials, columns=["learning_rate", "epochs", "auc_user_mean", "diverged"])


def test_the_curve_is_the_mean_over_users_then_over_seeds() -> None:
    found = validation_curve(
        rows(
            (0.1, 1, 0, [0.5, NAN, 1.0], False),  # 0.75
            (0.1, 1, 1, [0.25], False),  # 0.25: a seed counts once, however many users have an AUC
            (0.1, 2, 0, [0.6], False),
            (0.1, 2, 1, [0.8], False),
            (0.3, 1, 0, [0.9], False),
            (0.3, 1, 1, [0.9, NAN], True),
        )
    )
    pd.testing.assert_frame_equal(found, curve((0.1, 1, 0.5, 0), (0.1, 2, 0.7, 0), (0.3, 1, 0.9, 2)))


@pytest.mark.parametrize(
    ("trials", "chosen"),
    [
        ([(0.01, 1, 0.6, False), (0.03, 1, 0.7, False), (0.1, 1, 0.65, False)], Trial(0.03, 1)),
        # Of equals the smaller step, then the fewer epochs.
        ([(0.03, 1, 0.7, False), (0.01, 3, 0.7, False)], Trial(0.01, 3)),
        ([(0.01, 3, 0.7, False), (0.01, 1, 0.7, False)], Trial(0.01, 1)),
        # Where validation cannot tell, nothing is chosen, unless there is no choice.
        ([(0.1, 1, NAN, False), (0.3, 1, NAN, False)], None),
        ([(0.1, 1, NAN, False)], Trial(0.1, 1)),
        ([(0.1, 1, NAN, False), (0.3, 1, 0.4, False)], Trial(0.3, 1)),
    ],
)
def test_the_best_trial_is_chosen(trials: list[tuple[float, int, float, bool]], chosen: Trial | None) -> None:
    for order in (trials, trials[::-1]):
        assert choose(curve(*order)) == chosen


@pytest.mark.usefixtures("small_cache")
def test_selection_sees_no_test_row() -> None:
    """Other labels in the test part leave every validation row as it is, bit for bit."""
    dataset = open_dataset(DATASET)
    parts = split(dataset, Fractions())
    label = dataset.label.copy()
    for first, stop in zip(*parts.bounds("test"), strict=True):
        label[first:stop] = 1 - label[first:stop]
    tampered = replace(dataset, label=label)
    assert not np.array_equal(tampered.label, dataset.label)
    published = Published(MODEL, dataset.schema, models.create(MODEL, dataset.schema), global_ctr=0.3)
    task = Task("validation", 0, (0.03, 0.3), (1, 2), 32)

    def scored(part: Part) -> list[Columns]:
        features = (Features(data, parts, range(50), published.model.history_length) for data in (dataset, tampered))
        chosen = replace(task, part=part)
        strategy = strategies.create("fine-tuning")
        # Less than all users, so that more than one cohort takes part.
        return [personalise(published, strategy, each, chosen, cohort_size=32) for each in features]

    with single_thread():
        honest, cheated = scored("validation")
    for name, values in honest.items():
        np.testing.assert_array_equal(values, cheated[name], err_msg=name)
    with single_thread():
        honest, cheated = scored("test")
    assert not np.array_equal(honest["auc"], cheated["auc"], equal_nan=True)


def test_the_best_round_is_that_of_the_lowest_log_loss_or_of_the_highest_auc() -> None:
    """Round 0, the untrained model, is not among them, and of equals the first counts."""
    columns = {"seed": [0] * 4 + [1] * 3, "round": [0, 1, 2, 3, 0, 1, 2]}
    loss, auc = [0.1, 0.60, 0.62, 0.65, 0.1, 0.7, 0.5], [0.99, 0.60, 0.71, 0.71, 0.99, 0.8, 0.6]
    rounds = pd.DataFrame(columns | {"log_loss": loss, "auc": auc})
    assert best_rounds(rounds, "log-loss")["round"].tolist() == [1, 2]
    assert best_rounds(rounds, "auc")["round"].tolist() == [2, 1]
