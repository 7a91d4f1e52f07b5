from dataclasses import replace

import pytest

from fedctr.online.device_cost import NOTHING, device_cost
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy
from strategies.bias_only import BiasOnly
from strategies.fine_tuning import FineTuning
from strategies.gate import Gate
from strategies.head_only import HeadOnly
from strategies.knn_per import KnnPer
from strategies.label_correction import LabelCorrection
from strategies.low_rank import LowRank
from strategies.no_fine_tuning import NoFineTuning
from tests.engine import features_of, publish

FEATURES = features_of([64, 32], [7, 7], items=40)
RECIPE = Recipe(seed=0, learning_rate=0.1, epochs=1)
NCF = publish("ncf[embedding=8,hidden=[4]]", FEATURES.dataset.schema)
CODES = FEATURES.dataset.item_codes.shape[1]


def test_operations_are_those_of_the_matrix_products() -> None:
    # Multiply and add, for 32 samples: of the user once 8 x 4, of each item 8 x 4, then 4 x 1; backward twice as many,
    # of weights and of inputs.
    once, each = 2 * 8 * 4, 2 * (8 * 4 + 4)
    found = device_cost(NCF, FineTuning(), FEATURES, RECIPE, [1])
    assert found.operations == 3 * (once + 32 * each)
    assert found.samples == 32
    assert found.seconds > 0


def test_only_gradients_of_what_is_tuned_are_computed() -> None:
    # Forward as above. The last weights' gradient is a product of 1 x 4 for each sample; a bias's is a sum.
    forward = 2 * 8 * 4 + 32 * 2 * (8 * 4 + 4)
    head, bias = (device_cost(NCF, strategy, FEATURES, RECIPE, [1]) for strategy in (HeadOnly(), BiasOnly()))
    assert head.operations == forward + 32 * 2 * 4
    assert bias.operations == forward


def test_operations_grow_with_samples_and_epochs() -> None:
    one, longer = (
        device_cost(NCF, FineTuning(), FEATURES, recipe, [1]) for recipe in (RECIPE, replace(RECIPE, epochs=3))
    )
    more = device_cost(NCF, FineTuning(), FEATURES, RECIPE, [0, 1])
    assert longer.operations == 3 * one.operations
    assert (more.samples, more.operations) == (48, 1.5 * one.operations)


def test_a_dry_run_costs_as_well() -> None:
    """64 samples are two steps, each a pass forward and twice as much backward, which is six passes.

    A dry run on the first half is one step, and both models score the other half: five passes more.
    """
    plain, gated = (device_cost(NCF, strategy, FEATURES, RECIPE, [0]) for strategy in (FineTuning(), Gate(0.5)))
    assert gated.operations == 11 / 6 * plain.operations


def test_a_memory_of_samples_costs_though_nothing_is_tuned() -> None:
    """Of 32 samples six are held out: their logits are found, and of all of them what the last layer reads.

    The user's share is computed once in each pass: of these six, of where they stand, and of where the others do.
    """
    found = device_cost(NCF, KnnPer(share=0.2), FEATURES, RECIPE, [1])
    assert found.operations == 3 * (2 * 8 * 4) + 6 * 2 * (8 * 4 + 4) + 32 * (2 * 8 * 4) == 2672
    assert found.memory_bytes == 4 * 32 * 4
    assert found.seconds > 0
    assert (found.samples, found.visit_bytes) == (32, 7 * CODES * 4)


def test_a_device_with_too_few_samples_to_hold_one_out_has_its_bill_as_well() -> None:
    few = features_of([2], [7], items=40)
    for strategy in (KnnPer(), Gate()):
        assert device_cost(publish(NCF.spec, few.dataset.schema), strategy, few, RECIPE, [0]).operations > 0


def test_only_what_the_method_needs_is_sent() -> None:
    weights = 4 * sum(value.numel() for value in NCF.model.parameters())
    plain, corrected = (
        device_cost(NCF, strategy, FEATURES, RECIPE, [1]) for strategy in (FineTuning(), LabelCorrection())
    )
    assert plain.published_bytes == weights
    assert corrected.published_bytes == weights + 4
    assert plain.visit_bytes == 7 * CODES * 4
    assert plain.bytes_up == corrected.bytes_up == 0
    assert device_cost(NCF, NoFineTuning(), FEATURES, RECIPE, [1]) == NOTHING


# What backward needs of 32 samples: what both layers have read of each, 8 and 4 numbers.
READ = 32 * (8 + 4)
# The first layer has 8 x 4 weights for the user, as many for the item and 4 biases; the last one has 4 and 1.
DENSE = 2 * 8 * 4 + 4 + 4 + 1
# Small tables are copied whole, in multiples of 16 rows: of 2 users and 40 items, and of those that are missing.
ROWS = 16 + 48


@pytest.mark.parametrize(
    ("strategy", "tuned", "kept"),
    [
        (BiasOnly(), 1, READ),
        (HeadOnly(), 4 + 1, READ),
        # The user's embedding is read as well, by the first layer once for all samples.
        (FineTuning(), DENSE + 8 * ROWS, READ + 8),
    ],
)
def test_memory_is_that_of_what_is_tuned_of_its_moments_and_of_what_backward_needs(
    strategy: ClientStrategy, tuned: int, kept: int
) -> None:
    sgd, adam = (
        device_cost(NCF, strategy, FEATURES, replace(RECIPE, optimiser=optimiser), [1]).memory_bytes
        for optimiser in ("sgd", "adam")
    )
    assert sgd == 4 * (tuned + kept)
    assert adam == 4 * (3 * tuned + kept)


def test_an_adapter_needs_memory_for_the_weights_that_it_makes() -> None:
    """Rank 1 of both weights of 4 x 8, beside 4 weights that have but one row and are tuned themselves."""
    found = device_cost(NCF, LowRank(1), FEATURES, RECIPE, [1])
    assert found.memory_bytes >= 4 * (2 * (4 + 8) + 2 * (4 * 8) + 4 + READ + 8)
