from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fedctr.data.dataset import Field
from fedctr.models.batch import ALIGNED, Bag, Coded
from fedctr.samples import WHOLE, Numbered, PartCodes, Samples, Table, mean_clicks, taking

# ------------------------------------------------------------------------------------- codes of both parts


@dataclass
class Parts:
    """A field's codes of both parts, 0 in the padding as everywhere."""

    field: Field
    train: PartCodes
    scored: PartCodes

    @property
    def numbered(self) -> Numbered:
        return Numbered.of(self.field, self.train, self.scored)


def part(users: int, samples: int, values: int, cardinality: int, seed: int, missing: float) -> PartCodes:
    rng = np.random.default_rng(seed)
    # Few distinct codes, so that they come again, spread over the whole table.
    few = rng.integers(1, cardinality, 6)
    codes = few[rng.integers(0, 6, (users, samples, values))] * (rng.random((users, samples, values)) >= missing)
    mask = np.arange(samples) < rng.integers(0, samples + 1, (users, 1))
    return PartCodes((codes * mask[..., None]).astype(np.int32), mask)


@st.composite
def parts(draw: st.DrawFn) -> Parts:
    users, values = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    cardinality = draw(st.sampled_from([2, 16, 17, WHOLE, WHOLE + 1, 1000]))
    seed, missing = draw(st.integers(0, 1000)), draw(st.sampled_from([0.0, 0.3, 1.0]))
    return Parts(
        Field("field", cardinality, values=values),
        part(users, draw(st.integers(1, 9)), values, cardinality, seed, missing),
        part(users, draw(st.integers(0, 9)), values, cardinality, seed + draw(st.integers(0, 1)), missing),
    )


def weights_of(bag: Bag) -> Tensor:
    return torch.ones(bag.rows.shape) if bag.weights is None else bag.weights


def check_part(bag: Bag, codes: Tensor, part: PartCodes) -> None:
    """Every code that is present is that of its row, and weighs its share; what is missing weighs nothing."""
    assert bag.rows.shape == part.codes.shape
    rows, weights, stacked = bag.rows.tolist(), weights_of(bag).tolist(), codes.tolist()
    for user, sample in zip(*np.nonzero(part.mask), strict=True):
        own = part.codes[user, sample].tolist()
        share = 1 / max(1, sum(code > 0 for code in own))
        for code, row, weight in zip(own, rows[user][sample], weights[user][sample], strict=True):
            assert abs(weight - (share if code else 0)) < 1e-6
            assert not code or stacked[user][row] == code


@given(parts())
def test_rows_lead_back_to_the_codes_of_both_parts(case: Parts) -> None:
    numbered = case.numbered
    assert numbered.whole == (case.field.cardinality <= WHOLE)
    check_part(numbered.train, numbered.table.codes, case.train)
    check_part(numbered.scored, torch.cat([numbered.table.codes, numbered.table.more], dim=1), case.scored)


@given(parts())
def test_all_rows_are_within_the_table_even_those_of_padding(case: Parts) -> None:
    numbered = case.numbered
    table = numbered.table
    for bag, rows in ((numbered.train, table.rows), (numbered.scored, table.rows + table.more.shape[1])):
        assert bag.rows.dtype == torch.int64
        assert ((bag.rows >= 0) & (bag.rows < rows)).all()
    for codes in (table.codes, table.more):
        assert ((codes >= 0) & (codes < case.field.cardinality)).all()


@given(parts())
def test_a_code_has_one_row_for_each_user_which_is_tuned_if_it_is_in_the_training_part(case: Parts) -> None:
    numbered = case.numbered
    for user in range(len(case.train.codes)):
        known = case.train.codes[user]
        row_of: dict[int, int] = {}
        for code, row in zip(known.flatten().tolist(), numbered.train.rows[user].flatten().tolist(), strict=True):
            assert not code or row_of.setdefault(code, row) == row
        seen = zip(
            case.scored.codes[user].flatten().tolist(), numbered.scored.rows[user].flatten().tolist(), strict=True
        )
        for code, row in seen:
            if code in row_of:
                assert row == row_of[code]
            elif code and not numbered.whole:
                assert row >= numbered.table.rows


@given(parts(), st.data())
def test_a_user_has_the_same_rows_whoever_is_beside_it(case: Parts, data: st.DataObject) -> None:
    user = data.draw(st.integers(0, len(case.train.codes) - 1))
    alone = Parts(
        case.field, *(PartCodes(part.codes[[user]], part.mask[[user]]) for part in (case.train, case.scored))
    ).numbered
    together = case.numbered
    assert torch.equal(alone.table.codes[0], together.table.codes[user])
    assert torch.equal(alone.table.more[0], together.table.more[user])
    for own, shared in ((alone.train, together.train), (alone.scored, together.scored)):
        assert torch.equal(own.rows[0], shared.rows[user])


def test_a_small_table_is_copied_whole_and_filled_up_with_the_row_of_nothing() -> None:
    codes = np.array([[[3], [1]], [[2], [2]]], dtype=np.int32)
    numbered = Parts(
        Field("field", 18), PartCodes(codes, np.ones((2, 2), bool)), PartCodes(codes, np.ones((2, 2), bool))
    )
    found = numbered.numbered
    assert found.whole
    assert found.table.codes.tolist() == [[*range(18), *[0] * 14]] * 2
    assert found.table.rows % ALIGNED == 0
    assert found.table.more.shape == (2, 0)
    assert found.train.rows.tolist() == found.scored.rows.tolist() == codes.tolist()
    assert found.train.weights is None


def test_of_a_large_table_each_place_of_the_training_part_has_a_row() -> None:
    train = PartCodes(np.array([[[500], [7], [500]], [[7], [0], [9]]], dtype=np.int32), np.ones((2, 3), bool))
    scored = PartCodes(np.array([[[7], [8]], [[500], [9]]], dtype=np.int32), np.ones((2, 2), bool))
    found = Numbered.of(Field("field", 1000), train, scored)
    assert not found.whole
    assert found.table.codes.tolist() == [[500, 7, 500, *[0] * 13], [7, 0, 9, *[0] * 13]]  # a multiple of ALIGNED
    assert found.table.more.tolist() == [[7, 8], [500, 9]]
    assert found.train.rows.tolist() == [[[0], [1], [0]], [[0], [1], [2]]]  # the third place is the first one's
    assert found.scored.rows.tolist() == [[[1], [17]], [[16], [2]]]  # 8, and the first user's 500, are not tuned
    assert found.train.weights is not None  # the second user's second code is missing
    assert found.train.weights.tolist() == [[[1], [1], [1]], [[1], [0], [1]]]
    assert found.scored.weights is None


def test_padding_alone_needs_no_weights() -> None:
    codes, mask = np.array([[[5], [0]]], dtype=np.int32), np.array([[True, False]])
    assert PartCodes(codes, mask).bag(codes).weights is None
    assert PartCodes(codes, ~mask).bag(codes).weights is not None


@given(parts())
def test_several_values_of_a_whole_table_are_looked_up_as_a_matrix(case: Parts) -> None:
    numbered = case.numbered
    places = numbered.places(numbered.train)
    if numbered.whole and case.field.values > 1:
        assert isinstance(places, Tensor)
        assert torch.equal(places, numbered.train.matrix(numbered.table.rows))
    else:
        assert places is numbered.train


# -------------------------------------------------------------------------------------------------- tables


def test_a_table_stacks_the_rows_in_use_and_is_extended_as_published() -> None:
    weight = torch.arange(10.0).view(5, 2)
    table = Table(torch.tensor([[1, 2], [4, 4]]), torch.tensor([[0], [3]]))
    stacked = table.stack(weight)
    assert table.rows == 2
    assert stacked.tolist() == [[[2, 3], [4, 5]], [[8, 9], [8, 9]]]
    assert table.extend(stacked + 100, weight).tolist() == [
        [[102, 103], [104, 105], [0, 1]],
        [[108, 109], [108, 109], [6, 7]],
    ]
    whole = Table(table.codes, torch.zeros(2, 0, dtype=torch.int64))
    assert whole.extend(stacked, weight) is stacked
    first = table.take(lambda values: values[:1])
    assert (first.codes.tolist(), first.more.tolist()) == ([[1, 2]], [[0]])


# ------------------------------------------------------------------------------------------------- samples


@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 3), (2, 4, 3, 2)])
def test_taking_takes_each_users_samples_in_its_order_whatever_stands_behind(shape: tuple[int, ...]) -> None:
    values = torch.randn(shape)
    order = torch.tensor([[3, 0, 0], [1, -1, 2]])
    found = taking(order)(values)
    assert found.shape == (2, 3, *shape[2:])
    for user, place in zip(*np.nonzero(order.numpy() >= 0), strict=True):
        assert torch.equal(found[user, place], values[user, order[user, place]])


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 8), st.integers(0, 99))
def test_taking_is_gathering(users: int, samples: int, taken: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randint(samples, (users, taken), generator=generator)
    for values in (torch.rand(users, samples, generator=generator) < 0.5, torch.randn(users, samples, 2)):
        expected = torch.stack([own[places] for own, places in zip(values, order, strict=True)])
        assert torch.equal(taking(order)(values), expected)


Value = TypeVar("Value")


class Asked:
    """Samples that count what is asked of them."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.history = torch.arange(12).view(2, 3, 2)
        self.item: Coded = {"bag": Bag(torch.arange(6).view(2, 3, 1), None), "matrix": torch.arange(6.0).view(2, 3, 1)}
        self.samples = Samples(
            torch.tensor([[True, True, False], [True, False, False]]),
            torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
            lambda: self.say("item", self.item),
            lambda: self.say("history", self.history),
            lambda: self.say("shares", self.history / 2),
        )

    def say(self, what: str, value: Value) -> Value:
        self.asked.append(what)
        return value


def test_samples_are_computed_when_they_are_asked_for_and_once() -> None:
    asked = Asked()
    block = asked.samples.take(lambda values: values.flip(1)).block(1, 2, 1)
    assert asked.asked == []
    for _ in range(2):
        assert block.history.tolist() == [[[2, 3], [0, 1]]]
    assert asked.asked == ["history"]
    assert block.shares.tolist() == [[[1, 1.5], [0, 0.5]]]
    assert asked.samples.history is asked.history
    assert asked.asked == ["history", "shares"]


def test_a_block_is_neighbouring_samples_of_the_first_users() -> None:
    block = Asked().samples.block(1, 2, 1)
    assert block.mask.tolist() == [[True, False]]
    assert block.labels.tolist() == [[0, 0]]
    bag, matrix = block.item["bag"], block.item["matrix"]
    assert isinstance(bag, Bag)
    assert isinstance(matrix, Tensor)
    assert bag.rows.tolist() == [[[1], [2]]]
    assert matrix.tolist() == [[[1.0], [2.0]]]


# ------------------------------------------------------------------------------------ the mean of a history

ROWS = 7  # of the table


def plain_mean(clicks: Bag, history: Tensor, shares: Tensor) -> npt.NDArray[np.float64]:
    """The same click by click."""
    found = np.zeros((*history.shape[:2], ROWS))
    for (user, sample, place), share in np.ndenumerate(shares.numpy()):
        click = int(history[user, sample, place])
        for row, weight in zip(clicks.rows[user, click], weights_of(clicks)[user, click], strict=True):
            found[user, sample, int(row)] += share * float(weight)
    return found


@pytest.mark.parametrize("form", ["bag", "matrix"])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("values", [1, 3])
@given(users=st.integers(1, 3), samples=st.integers(1, 4), length=st.integers(1, 5), seed=st.integers(0, 99))
def test_the_mean_of_a_history_is_the_plain_mean_of_its_clicks(
    form: str, weighted: bool, values: int, users: int, samples: int, length: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    clicks = Bag(
        torch.randint(ROWS, (users, 6, values), generator=generator),
        torch.rand(users, 6, values, generator=generator) if weighted else None,
    )
    history = torch.randint(6, (users, samples, length), generator=generator)
    present = torch.rand(history.shape, generator=generator) < 0.6
    shares = present / present.sum(2, keepdim=True).clamp(min=1)
    other = Bag(torch.zeros(users, 6, 1, dtype=torch.int64), None)
    places = clicks if form == "bag" else clicks.matrix(ROWS)
    means = mean_clicks({"field": places, "other": other}, {"other": 2, "field": ROWS}, history, shares)
    assert list(means) == ["field", "other"]
    found = means["field"]
    np.testing.assert_allclose(found, plain_mean(clicks, history, shares), rtol=0, atol=1e-6)
    assert not found[~present.any(2)].any()
    ones = present.any(2).float()
    torch.testing.assert_close(means["other"], torch.stack([ones, torch.zeros_like(ones)], dim=2))
