from dataclasses import replace

from fedctr.online.device_cost import NOTHING, device_cost
from fedctr.recipe import Recipe
from strategies.bias_only import BiasOnly
from strategies.fine_tuning import FineTuning
from strategies.gate import Gate
from strategies.head_only import HeadOnly
from strategies.label_correction import LabelCorrection
from strategies.no_fine_tuning import NoFineTuning
from tests.engine import features_of, publish

FEATURES = features_of([64, 32], [7, 7], items=40)
RECIPE = Recipe(seed=0, learning_rate=0.1, epochs=1)
NCF = publish("ncf[embedding=8,hidden=[4]]", FEATURES.dataset.schema)


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
    plain, gated = (device_cost(NCF, strategy, FEATURES, RECIPE, [0]) for strategy in (FineTuning(), Gate(0.5)))
    assert gated.operations == 1.5 * plain.operations


def test_only_what_the_method_needs_is_sent() -> None:
    weights = 4 * sum(value.numel() for value in NCF.model.parameters())
    plain, corrected = (
        device_cost(NCF, strategy, FEATURES, RECIPE, [1]) for strategy in (FineTuning(), LabelCorrection())
    )
    assert plain.published_bytes == weights
    assert corrected.published_bytes == weights + 4
    assert plain.visit_bytes == 7 * FEATURES.dataset.item_codes.shape[1] * 4
    assert plain.bytes_up == corrected.bytes_up == 0
    assert device_cost(NCF, NoFineTuning(), FEATURES, RECIPE, [1]) == NOTHING


def test_a_device_copies_the_weights_that_it_uses_and_keeps_what_backward_needs() -> None:
    small, large = (
        device_cost(
            publish(f"ncf[embedding={size},hidden=[4]]", FEATURES.dataset.schema), FineTuning(), FEATURES, RECIPE, [1]
        )
        for size in (8, 64)
    )
    assert 0 < small.memory_bytes < large.memory_bytes < 10 * small.memory_bytes
    assert small.memory_bytes >= 4 * (8 * 4 + 4)
