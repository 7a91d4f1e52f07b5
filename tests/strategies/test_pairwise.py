import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedctr.ranking import bayesian_personalised_ranking
from fedctr.stacking import repeated
from fedctr.strategy import minibatch_loss
from strategies.pairwise import Pairwise
from tests.engine import ANYTHING, local_of

one_user = st.lists(st.tuples(st.integers(0, 1), st.integers(-40, 40)), max_size=7)


def loss_over_pairs(user: list[tuple[int, float]]) -> list[float]:
    """Each sample's loss, as one would say it."""
    losses = []
    for label, logit in user:
        others = [other for opposite, other in user if opposite != label]
        margins = [logit - other if label else other - logit for other in others]
        losses.append(float(np.mean(np.logaddexp(0, -np.array(margins)))) if margins else 0.0)
    return losses


def test_by_hand() -> None:
    local = local_of([1, 0, 0])
    found = Pairwise().loss(torch.tensor([[1.0, 1.0, 3.0]]), local.labels, local, ANYTHING)
    won, lost = np.log(2), np.log1p(np.exp(2))
    torch.testing.assert_close(found, torch.tensor([[(won + lost) / 2, won, lost]]).float())


@given(st.lists(one_user, min_size=1, max_size=4))
def test_it_is_the_loss_over_all_pairs_of_a_positive_and_a_negative(users: list[list[tuple[int, int]]]) -> None:
    local = local_of(*[[label for label, _ in user] for user in users])
    # Padding has a logit that would show.
    logits = torch.full_like(local.labels, 1000)
    for row, user in enumerate(users):
        logits[row, : len(user)] = torch.tensor([logit / 4 for _, logit in user])
    found = Pairwise().loss(logits, local.labels, local, ANYTHING)
    for row, user in enumerate(users):
        expected = loss_over_pairs([(label, logit / 4) for label, logit in user])
        np.testing.assert_allclose(found[row, : len(user)], expected, rtol=1e-5, atol=1e-6)
    total = minibatch_loss(Pairwise(), logits, local.labels, local, ANYTHING)
    expected = [
        sum(loss_over_pairs([(label, logit / 4) for label, logit in user])) / max(1, len(user)) for user in users
    ]
    np.testing.assert_allclose(total, expected, rtol=1e-5, atol=1e-6)


def test_a_constant_on_all_logits_changes_nothing_so_the_prior_learns_nothing() -> None:
    local, bias = local_of([1, 0, 1, 0, 0]), torch.zeros((), requires_grad=True)
    logits = torch.tensor([[0.5, -1.0, 2.0, 0.0, 1.0]])
    minibatch_loss(Pairwise(), logits + bias, local.labels, local, ANYTHING).sum().backward()
    assert bias.grad is not None
    assert abs(bias.grad.item()) < 1e-7


def test_a_user_of_one_class_learns_nothing() -> None:
    for labels in ([1, 1, 1], [0, 0], [1], [0]):
        local = local_of(labels)
        logits = torch.randn(1, len(labels), requires_grad=True)
        minibatch_loss(Pairwise(), logits, local.labels, local, ANYTHING).sum().backward()
        assert logits.grad is not None
        assert not logits.grad.any()


@pytest.mark.parametrize("samples", [32, 64])
def test_a_users_loss_and_gradients_are_the_same_bits_whoever_is_beside_it(samples: int) -> None:
    draw = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(70, samples, generator=draw)
    labels = (torch.rand(70, samples, generator=draw) < torch.rand(70, 1, generator=draw)).float()
    mask = torch.arange(samples) < torch.randint(samples + 1, (70, 1), generator=draw)

    def computed(users: slice) -> torch.Tensor:
        leaf = repeated(logits[users]).requires_grad_()
        losses = bayesian_personalised_ranking(leaf, repeated(labels[users] * mask[users]), repeated(mask[users]))
        (gradients,) = torch.autograd.grad(losses.sum(), leaf)
        return torch.stack([losses.detach(), gradients], 1)[: len(logits[users])]

    whole = computed(slice(None))
    for size in (1, 3, 33):
        assert torch.equal(torch.cat([computed(slice(at, at + size)) for at in range(0, 70, size)]), whole)
