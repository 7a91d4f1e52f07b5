"""``experiments/benchmarks/operations.py``, counted by hand."""

import numpy as np
import pytest
from floor import NARROW
from operations import FORWARD, Operations, Shape, operations_per_user
from work import Part, Work

# Two fields of the user and two of the item, embedded by two numbers each: U = I = C = 4; six fields, 15 pairs.
USER_FIELDS, ITEM_FIELDS = {"age": (0, 1), "gender": (1, 2)}, {"item": (0, 1), "genres": (1, 3)}
SIZES = {"age": 4, "gender": 3, "item": 4, "genres": 3}
MLP = {"mlp.0": (3, 12), "mlp.2": (2, 3), "mlp.4": (1, 2)}
UNIT = {"read": 12, "gate": 8, "renew": 4}
LAYERS: dict[str, dict[str, tuple[int, int]]] = {
    "ncf": MLP | {"mlp.0": (3, 8)},
    "wide-deep": MLP,
    "deepfm": MLP,
    "fm": {},
    "pnn": MLP | {"mlp.0": (3, 12 + 15)},
    "dcn-v2": MLP | {"cross.0": (12, 12), "cross.1": (12, 12), "crossed": (1, 12)},
    "autoint": {"attend.0": (16, 2), "attend.1": (16, 4), "mlp.0": (1, 24)},
    "din": MLP | {"attend_item": (5, 4), "attend_click": (5, 4), "attend_product": (5, 4), "attention": (1, 5)},
    "dien": MLP
    | {f"{unit}.{part}": (size, 4) for unit in ("extract", "evolve") for part, size in UNIT.items()}
    | {"attend": (4, 4)},
    "lr": {},
}


def part(items: list[int], history: list[list[int]]) -> Part:
    labels = np.zeros(len(items), dtype=np.float32)
    return Part(np.array([0, len(items)]), np.array(items), np.array(history), labels)


def work(model: str) -> Work:
    """One user, with three samples to fine-tune on, in steps of two, and one to rank."""
    layers = {f"{name}.weight": shape for name, shape in LAYERS[model].items()}
    biases = {f"{name}.bias": shape[:1] for name, shape in LAYERS[model].items() if name.startswith("mlp")}
    tables = {f"{kind}.{name}.weight": (SIZES[name], size) for name in SIZES for kind, size in KINDS}
    return Work(
        model=model,
        user_codes=np.array([[1, 2]]),
        item_codes=np.array([[0, 0, 0], [1, 1, 0], [2, 1, 2], [3, 2, 0]]),
        user_fields=USER_FIELDS,
        item_fields=ITEM_FIELDS,
        train=part([1, 2, 3], [[0, 0], [1, 0], [2, 1]]),
        test=part([2], [[3, 1]]),
        orders=[np.array([0, 1, 2])],
        parameters={name: np.zeros(shape, dtype=np.float32) for name, shape in (tables | layers | biases).items()},
        heads=2,
        batch_size=2,
        learning_rate=0.1,
    )


KINDS = (("embedding", 2), ("wide", 1))
# Three samples, with three clicks before them, of two different items; four genres of the three items shown or clicked.
POOLED = 3 * 4 + 4 * 2
DEEP = 4 * 3 + 3 * ((4 + 4) * 3 + 3 * 2 + 2)
FIRST_ATTENTION = (2 + 3 * 4) * 2 * 16 + (2 * 2 + 3 * (36 - 4)) * 4 + 3 * 36 * 4
SECOND_ATTENTION = 3 * 6 * 4 * 16 + 3 * 36 * 4 + 3 * 36 * 4
EXPECTED = {
    "ncf": (4 * 3 + 3 * (4 * 3 + 3 * 2 + 2), 0),
    "wide-deep": (DEEP, POOLED + 4),
    "deepfm": (DEEP, POOLED + 4),
    "fm": (0, POOLED + 4),
    "pnn": (DEEP + 1 * (2 + 3) + 3 * 14 * (2 + 3), POOLED),
    "dcn-v2": (DEEP + 4 * 12 + 3 * 8 * 12 + 3 * 12 * 12 + 3 * 12, POOLED),
    "autoint": (FIRST_ATTENTION + SECOND_ATTENTION + 3 * 6 * 4, POOLED),
    "din": (DEEP + 3 * 4 * 5 + 2 * 4 * 5 + 3 * (4 * 5 + 5 + 4), 4 * 2),
    # Interests after one click and after two; of the three steps that evolve them, two begin with a state of zero.
    "dien": (DEEP + 3 * 4 * 4 + 2 * 48 + (2 - 1) * 48 + 2 * 48 + 3 * 4 + (3 - 2) * 48, 4 * 2),
    "lr": (0, 2 + (2 + 3 + 2)),
}


@pytest.mark.parametrize("model", FORWARD)
def test_of_one_forward_pass(model: str) -> None:
    here = work(model)
    products, additions = FORWARD[model](here, here.train, np.arange(3))
    assert (products.total(), additions) == EXPECTED[model]


LAYERS_ABOVE = {Shape(1, 3, 2): 3 * 3 * 2, Shape(1, 2, 1): 3 * 2}
BY_SHAPE = {
    "autoint": {
        Shape(6, 2, 16): (2 + 3 * 4) * 2 * 16,
        Shape(6, 4, 16): 3 * 6 * 4 * 16,
        # In heads of two numbers: queries and keys, where those of two fields are the user's, then weights and values.
        Shape(6, 2, 6, shared=False): (2 * 2 + 3 * (36 - 4)) * 4 + 3 * 36 * 4,
        Shape(6, 6, 2, shared=False): 3 * 36 * 4 + 3 * 36 * 4,
        Shape(1, 24, 1): 3 * 24,
    },
    "din": LAYERS_ABOVE
    | {
        Shape(1, 8, 3): 4 * 3 + 3 * 8 * 3,
        Shape(1, 4, 5): 3 * 4 * 5 + 2 * 4 * 5,
        Shape(2, 4, 5): 3 * 4 * 5,
        Shape(2, 5, 1): 3 * 5,
        Shape(1, 2, 4, shared=False): 3 * 4,
    },
    "dien": LAYERS_ABOVE
    | {
        Shape(1, 8, 3): 4 * 3 + 3 * 8 * 3,
        Shape(1, 4, 12): (2 + 1 + 2 + 1) * 48,
        Shape(1, 4, 4): 3 * 16,
        Shape(2, 4, 1, shared=False): 3 * 4,
    },
}


@pytest.mark.parametrize("model", NARROW)
def test_of_one_forward_pass_by_the_shapes_of_matrices(model: str) -> None:
    here = work(model)
    assert FORWARD[model](here, here.train, np.arange(3))[0] == BY_SHAPE[model]


def test_narrow_products_take_longer_and_the_rest_goes_at_the_best_rate() -> None:
    narrow, wide, vector = Shape(9, 8, 9, shared=False), Shape(1, 64, 32), Shape(1, 64, 1)
    operations = Operations({narrow: 600, wide: 400, vector: 50}, additions=50)
    rates = {narrow: 20, wide: 80}
    seconds = 600 / 20 + 400 / 80 + (50 + 50) / 100
    assert operations.rate(100, lambda shape: rates[shape]) == 1100 / seconds
    assert operations.users_per_second(operations.rate(100, lambda shape: rates[shape])) == pytest.approx(1 / seconds)
    assert operations.rate(100, lambda shape: 100) == pytest.approx(100)


def test_what_is_but_a_vector() -> None:
    assert [shape for shape in (Shape(1, 8, 3), Shape(6, 2, 6, shared=False), Shape(6, 8, 3)) if shape.has_vector] == []
    vectors = Shape(6, 8, 1), Shape(6, 1, 8), Shape(1, 2, 4, shared=False), Shape(2, 4, 1, shared=False)
    assert all(shape.has_vector for shape in vectors)


def test_of_a_user_in_all() -> None:
    """Two steps, of two samples and of one, and a sample to rank."""
    multiply_adds = 6 * (4 * 3 + 2 * 32) + 6 * (4 * 3 + 32) + 2 * (4 * 3 + 32)
    additions = 2 * (1 * 4 + 3 * 3) + 2 * (2 * 4 + 4 * 3) + (2 * 4 + 4 * 3)
    found = operations_per_user(work("wide-deep"))
    assert (found.products, found.additions) == (multiply_adds, additions)
    assert found.by_shape[Shape(1, 2, 1)] == 6 * 2 * 2 + 6 * 2 + 2 * 2  # the last layer
