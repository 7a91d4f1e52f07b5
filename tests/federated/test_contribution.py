"""The local steps of a round, beside a plain loop over users."""

import copy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fedctr import loop
from fedctr.features import Features
from fedctr.federated.contribution import Within, _clip, contribute, recipes
from fedctr.federated.messages import Contribution, RoundTask, Terms, unit
from fedctr.federated.participation import Participation
from fedctr.federated.personal import PersonalFile, personal_of
from fedctr.personalise import UserError
from fedctr.published import Published
from fedctr.randomness import permutations
from fedctr.recipe import Recipe
from fedctr.strategy import ClientStrategy, Local
from strategies.embeddings_only import EmbeddingsOnly
from strategies.fine_tuning import FineTuning
from strategies.label_correction import LabelCorrection
from strategies.low_rank import LowRank
from tests.engine import Everything, HeadOnly, features_of, publish

pytestmark = pytest.mark.usefixtures("one_thread")

TRAIN, TEST = [12, 0, 40, 7, 3, 33, 9, 2], [3, 5, 2, 1, 6, 0, 1, 1]
MODELS = ["lr", "din[history=5]", "wide-deep[hidden=[8],history=5,user_id=true]"]
Changes = dict[str, Tensor]


@pytest.fixture
def features() -> Features:
    # 200 items: their tables are cut down to the rows in use.
    return features_of(TRAIN, TEST, seed=2, items=200)


def task(**keys: Any) -> RoundTask:
    return RoundTask(
        **{
            "dataset": "",
            "rule": None,
            "strategy": "",
            "seed": 3,
            "learning_rate": 0.2,
            "epochs": 2,
            "batch_size": 8,
            "participation": Participation(),
        }
        | keys
    )


def mean(contribution: Contribution, sampled: int) -> Changes:
    """The users' mean change."""
    return {
        name: torch.from_numpy(total * unit(sampled)) / contribution.users for name, total in contribution.sums.items()
    }


def after_epochs(
    published: Published, strategy: ClientStrategy, features: Features, user: int, recipe: Recipe
) -> list[Changes]:
    """The parameters of one user's model at the beginning and after each epoch, by the plain loop."""
    states = [copy.deepcopy(dict(published.model.state_dict()))]
    for model in loop.fine_tune(published, strategy, features, user, recipe):
        states.append(copy.deepcopy(dict(model.state_dict())))
    return states


def change(before: Changes, after: Changes) -> Changes:
    return {name: after[name].double() - before[name].double() for name in after}


def average(changes: list[Changes]) -> Changes:
    return {name: sum((each[name] for each in changes), torch.zeros(())) / len(changes) for name in changes[0]}


def assert_close(found: Changes, expected: Changes) -> None:
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(found[name].double(), expected[name].double(), atol=2e-6, rtol=1e-4, msg=name)
    assert any(value.abs().max() > 1e-3 for value in found.values())


def able(features: Features) -> list[int]:
    return [user for user in features.users if TRAIN[user]]


# -------------------------------------------------------------------------------------------- what is sent


@pytest.mark.parametrize("spec", MODELS)
@pytest.mark.parametrize("strategy", [FineTuning(), LabelCorrection(), Everything()], ids=lambda each: each.name)
def test_the_mean_is_that_of_a_plain_loop_over_users(spec: str, strategy: ClientStrategy, features: Features) -> None:
    published = publish(spec, features.dataset.schema)
    (recipe,) = recipes(task(), 4)
    expected = []
    for user in able(features):
        states = after_epochs(published, strategy, features, user, recipe)
        expected.append(change(states[0], states[-1]))
    found = contribute(published, strategy, features, task(), Terms(4))
    assert (found.users, found.diverged) == (7, 0)
    assert_close(mean(found, 7), average(expected))


@pytest.mark.parametrize("spec", MODELS)
def test_holders_of_a_row_are_the_users_who_have_changed_it(spec: str, features: Features) -> None:
    published = publish(spec, features.dataset.schema)
    (recipe,) = recipes(task(), 1)
    expected = {
        name: torch.zeros(len(table.weight), dtype=torch.int64) for name, table in published.model.embeddings.items()
    }
    for user in able(features):
        first, *_, last = after_epochs(published, FineTuning(), features, user, recipe)
        for name, count in expected.items():
            count += (first[name] != last[name]).any(1)
    found = contribute(published, FineTuning(), features, task(averaging="holders"), Terms(1))
    assert found.holders.keys() == expected.keys()
    for name, count in expected.items():
        np.testing.assert_array_equal(found.holders[name], count.numpy(), err_msg=name)
    items = found.holders[next(name for name in expected if name.endswith("item.tables.item.weight"))]
    assert set(items) >= {0, 1, 2}  # of some items nobody, of some one user, of others several
    plain = contribute(published, FineTuning(), features, task(), Terms(1))
    assert not plain.holders
    for name, total in plain.sums.items():
        np.testing.assert_array_equal(found.sums[name], total)


def test_rounds_have_other_shuffles(features: Features) -> None:
    published = publish("lr", features.dataset.schema)
    first, second = (contribute(published, FineTuning(), features, task(), Terms(number)).sums for number in (1, 2))
    assert any((first[name] != second[name]).any() for name in first)


def test_only_those_who_take_part_count_and_slow_ones_do_one_epoch(features: Features) -> None:
    published = publish("din[history=5]", features.dataset.schema)
    some = task(participation=Participation(share=0.8, dropout=0.2, stragglers=0.5), epochs=3)
    draw = some.participation.draw(some.seed, 2, features.split)
    users = np.flatnonzero(draw.takes_part)
    assert 0 < draw.slow.sum() < len(users) < draw.sampled < 7
    (recipe,) = recipes(some, 2)
    expected = []
    for user in users:
        states = after_epochs(published, FineTuning(), features, int(user), recipe)
        expected.append(change(states[0], states[1 if draw.slow[user] else 3]))
    found = contribute(published, FineTuning(), features, some, Terms(2))
    assert found.users == len(users)
    assert_close(mean(found, draw.sampled), average(expected))


def test_the_pull_is_that_of_fedprox(features: Features) -> None:
    """Half the strength times the squared distance: its gradient is the strength times the distance."""
    published = publish("lr", features.dataset.schema)
    (recipe,) = recipes(task(epochs=1), 1)
    user, strength = 2, 0.7
    rows = np.arange(*(bound[user] for bound in features.split.bounds("train")))
    model = copy.deepcopy(published.model)
    origin = copy.deepcopy(dict(model.named_parameters()))
    order = permutations(recipe.seed, "shuffle 1", np.array([user]), np.ones((1, 40), dtype=bool))[0]
    for positions in np.split(order, range(8, 40, 8)):
        logits = model(features.batch(rows[positions][None], np.array([[user]])))[0]
        labels = torch.from_numpy(features.dataset.label[rows[positions]].astype(np.float32))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
        with torch.no_grad():
            for (name, value), gradient in zip(model.named_parameters(), gradients, strict=True):
                pulled = strength * (value - origin[name])
                value.sub_(0.2 * (pulled if gradient is None else gradient + pulled))
    expected = change(dict(published.model.state_dict()), dict(model.state_dict()))
    alone = Features(features.dataset, features.split, range(user, user + 1), 0)
    found = contribute(published, FineTuning(), alone, task(epochs=1), Terms(1, pull=strength))
    assert_close(mean(found, 7), expected)


def test_the_pull_adds_to_a_penalty_of_the_strategy(features: Features) -> None:
    published = publish("lr", features.dataset.schema)
    both = Within(Within(FineTuning(), 0.3), 0.4)
    one = contribute(published, FineTuning(), features, task(), Terms(1, pull=0.7))
    two = contribute(published, both, features, task(), Terms(1))
    assert_close(mean(two, 7), mean(one, 7))


@pytest.mark.parametrize("strategy", [EmbeddingsOnly(), LowRank(2)], ids=lambda strategy: strategy.name)
def test_a_pull_leaves_to_the_strategy_what_it_tunes_and_in_whose_place(
    strategy: ClientStrategy, features: Features
) -> None:
    published = publish("din[history=5]", features.dataset.schema)
    (recipe,) = recipes(task(), 1)
    states = (after_epochs(published, strategy, features, user, recipe) for user in able(features))
    expected = average([change(first, last) for first, *_, last in states])
    found = mean(contribute(published, strategy, features, task(), Terms(1, pull=1e-9)), 7)
    assert_close(found, expected)
    assert not found["deep.layers.0.bias"].any()


def test_of_per_fedavg_only_the_last_epoch_counts(features: Features) -> None:
    published = publish("din[history=5]", features.dataset.schema)
    lags = task(epochs=3, participation=Participation(stragglers=0.4))
    draw = lags.participation.draw(lags.seed, 1, features.split)
    assert 0 < draw.slow.sum() < 7
    (recipe,) = recipes(lags, 1)
    expected = []
    for user in able(features):
        states = after_epochs(published, FineTuning(), features, user, recipe)
        done = 1 if draw.slow[user] else 3
        expected.append(change(states[done - 1], states[done]))
    found = contribute(published, FineTuning(), features, lags, Terms(1, last_epoch=True))
    assert_close(mean(found, 7), average(expected))


def test_parameters_that_a_strategy_leaves_alone_do_not_change(features: Features) -> None:
    published = publish("din[history=5]", features.dataset.schema)
    found = contribute(published, HeadOnly(), features, task(), Terms(1))
    still = {name for name, total in found.sums.items() if not total.any()}
    assert still == {name for name in found.sums if "tables" in name}


# ---------------------------------------------------------------------------------- the same to the bit


@pytest.mark.parametrize("spec", MODELS)
def test_neither_partitions_nor_cohorts_change_a_bit(spec: str, features: Features) -> None:
    published = publish(spec, features.dataset.schema)
    terms = Terms(1, pull=0.1, clipping_norm=0.5)
    counting = task(averaging="holders")
    whole = contribute(published, FineTuning(), features, counting, terms)
    for bounds in ([0, 8], [0, 3, 8], list(range(9))):
        ranges = [range(first, last) for first, last in pairwise(bounds)]
        length = published.model.history_length
        pieces = [
            contribute(
                published,
                FineTuning(),
                Features(features.dataset, features.split, users, length),
                counting,
                terms,
                cohort_size=2,
            )
            for users in ranges
        ]
        assert sum(piece.users for piece in pieces) == whole.users
        for name, total in whole.sums.items():
            np.testing.assert_array_equal(sum(piece.sums[name] for piece in pieces), total)
        for name, count in whole.holders.items():
            np.testing.assert_array_equal(sum(piece.holders[name] for piece in pieces), count)


# ------------------------------------------------------------------------------- clipping and divergence


def norms(published: Published, features: Features, terms: Terms) -> list[float]:
    """The L2 norm of what each user sends, when it is alone."""
    found = []
    for user in able(features):
        alone = Features(features.dataset, features.split, range(user, user + 1), 5)
        sums = contribute(published, FineTuning(), alone, task(), terms).sums
        found.append(float(np.sqrt(sum(np.square(total * unit(7)).sum() for total in sums.values()))))
    return found


def test_a_change_is_as_long_as_all_of_its_parameters_together() -> None:
    inf = float("inf")
    weight, bias = torch.tensor([[2.0, 3.0], [0.0, 1.0], [inf, 0.0]]).double(), torch.tensor([6.0, 2.0, 1.0]).double()
    _clip({"weight": weight, "bias": bias}, 3.5)
    assert weight.tolist() == [[1.0, 1.5], [0.0, 1.0], [inf, 0.0]]  # lengths: 7, the root of 5, and infinity
    assert bias.tolist() == [3.0, 2.0, 1.0]


def test_each_users_change_is_shortened_to_the_clipping_norm(features: Features) -> None:
    published = publish("din[history=5]", features.dataset.schema)
    free = norms(published, features, Terms(1))
    limit = float(np.median(free))
    assert norms(published, features, Terms(1, clipping_norm=limit)) == pytest.approx(
        [min(length, limit) for length in free], rel=1e-5
    )


def test_a_user_whose_model_diverges_is_left_out_and_counted(features: Features) -> None:
    published = publish("lr", features.dataset.schema)

    class Wild(ClientStrategy):
        name = "wild"

        def loss(self, logits: Tensor, targets: Tensor, local: Local, published: Published) -> Tensor:
            weight = torch.where(local.samples == 7, 1e30, 1.0)
            return super().loss(logits, targets, local, published) * weight

    found = contribute(published, Wild(), features, task(), Terms(1))
    assert (found.users, found.diverged) == (6, 1)
    (recipe,) = recipes(task(), 1)
    states = [after_epochs(published, FineTuning(), features, user, recipe) for user in able(features) if user != 3]
    assert_close(mean(found, 7), average([change(each[0], each[-1]) for each in states]))


def test_a_user_at_whom_a_strategy_fails_is_named(features: Features) -> None:
    class Fails(ClientStrategy):
        name = "fails"

        def targets(self, local: Local, published: Published) -> Tensor:
            return local.labels / 0 if (local.samples == 7).any() else local.labels

    published = publish("lr", features.dataset.schema)
    with pytest.raises(UserError, match="targets returned NaN") as caught:
        contribute(published, Fails(), features, task(), Terms(1))
    assert caught.value.user == "u3"


@pytest.mark.parametrize("users", [1, 2, 1000, 1_000_000, 10_000_000])
def test_as_many_of_the_largest_changes_as_there_are_users_can_be_added_up(users: int) -> None:
    assert users * 1024 / unit(users) <= 2**62
    assert unit(users) < 1e-8


# ---------------------------------------------------------------------------------- personal parameters


@pytest.mark.parametrize("patterns", [("deep.layers.1.*",), ("item.tables.item.weight", "deep.layers.0.bias")])
@pytest.mark.parametrize("alternate", [False, True])
def test_personal_parameters_stay_with_their_users(
    patterns: tuple[str, ...], alternate: bool, features: Features, tmp_path: Path
) -> None:
    """Two rounds, beside a plain loop in which every user has a model of its own."""
    published = publish("wide-deep[hidden=[8],history=5]", features.dataset.schema)
    names = personal_of(patterns, published.model, "")
    file = PersonalFile.of(tmp_path / "kept.npy", names, published.model)
    file.begin(len(TRAIN), published.model.state_dict(), file.file)
    mine = task(personal=names, alternate=alternate, personal_file=str(file.file))
    own = {user: {name: published.model.state_dict()[name].clone() for name in names} for user in able(features)}
    for number in (1, 2):
        changes = []
        for user in able(features):
            start = model = copy.deepcopy(published.model)
            start.load_state_dict({**published.model.state_dict(), **own[user]})
            before = copy.deepcopy(dict(start.state_dict()))
            others = [name for name in before if name not in names]
            phases = [list(names), others] if alternate else [list(before)]
            for recipe, only in zip(recipes(mine, number), phases, strict=True):
                here = replace(published, model=model)
                *_, model = loop.fine_tune(here, Within(FineTuning(), only=frozenset(only)), features, user, recipe)
            after = model.state_dict()
            changes.append(change(before, dict(after)))
            own[user] = {name: after[name].clone() for name in names}
        found = contribute(published, FineTuning(), features, mine, Terms(number))
        assert_close(mean(found, 7), average(changes))
        file.take_in(number, [0])
        kept = file.read(np.array(able(features)))
        for place, user in enumerate(able(features)):
            for name in names:
                torch.testing.assert_close(kept[name][place], own[user][name], atol=2e-6, rtol=1e-4)
    untouched = file.read(np.array([1]))  # has no training samples
    assert all(torch.equal(untouched[name][0], published.model.state_dict()[name]) for name in names)
