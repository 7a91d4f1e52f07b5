from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from fedctr.data.split import Fractions
from fedctr.federated.contribution import contribute
from fedctr.federated.messages import RoundTask, Terms
from fedctr.federated.participation import Participation
from fedctr.online.day import live
from fedctr.online.log import logged
from fedctr.personalise import personalise
from fedctr.published import Published
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy, Local
from fedctr.threads import without_subnormals
from tests.engine import features_of, publish, task
from tests.online.test_day import LIKES, POPULATION, by_weight
from tests.online.worlds import certain


def products() -> list[float]:
    """What a processor makes of numbers whose products are too small for it to be fast."""
    tiny = torch.full((4,), 1e-20)
    return (tiny * tiny).tolist()


def test_numbers_too_small_for_the_processor_to_be_fast_count_as_nothing() -> None:
    with without_subnormals():
        assert products() == [0] * 4
    assert min(products()) > 0


class Asks(ClientStrategy):
    """Notes what its device makes of such numbers."""

    name = "asks"

    def __init__(self) -> None:
        self.found: list[float] = []

    def targets(self, local: Local, published: Published) -> Tensor:
        self.found += products()
        return local.labels


def benchmark(strategy: ClientStrategy) -> None:
    features = features_of([3, 4], [1, 1])
    personalise(publish("lr", features.dataset.schema), strategy, features, task())


def federated_round(strategy: ClientStrategy) -> None:
    features = features_of([3, 4], [1, 1])
    asked = RoundTask("", Fractions(), "", 0, 0.1, 1, 8, Participation())
    contribute(publish("lr", features.dataset.schema), strategy, features, asked, Terms(1))


def night(strategy: ClientStrategy) -> None:
    seen = pd.DataFrame({"user": [0, 0, 1, 1], "item": [0, 1, 0, 1], "click": [1, 0, 0, 1], "day": -1})
    log, recipe = logged(POPULATION, [seen]), Recipe(seed=0, learning_rate=0.1, epochs=1)
    live(0, np.arange(2), certain(LIKES, shown=1), log, by_weight(0, 0, 0), strategy, recipe)


@pytest.mark.parametrize("work", [benchmark, federated_round, night])
def test_so_they_do_in_all_that_a_device_does(work: Callable[[ClientStrategy], None]) -> None:
    strategy = Asks()
    work(strategy)
    assert set(strategy.found) == {0}
    assert min(products()) > 0
