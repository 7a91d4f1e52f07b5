import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedctr.strategy import minibatch_loss
from strategies.listwise import Listwise
from tests.engine import ANYTHING, local_of

one_user = st.lists(st.tuples(st.integers(0, 1), st.integers(-40, 40)), max_size=7)


def test_by_hand() -> None:
    local = local_of([1, 0, 0])
    found = Listwise().loss(torch.tensor([[math.log(2), 0.0, 0.0]]), local.labels, local, ANYTHING)
    torch.testing.assert_close(found, torch.tensor([[3 * math.log(2), 0, 0]]))  # the positive's share is one half


@given(st.lists(one_user, min_size=1, max_size=4))
def test_the_mean_is_the_cross_entropy_of_the_list(users: list[list[tuple[int, int]]]) -> None:
    local = local_of(*([label for label, _ in user] for user in users))
    logits = torch.full(local.labels.shape, 7.0)  # the padding holds anything
    for row, user in zip(logits, users, strict=True):
        row[: len(user)] = torch.tensor([float(logit) for _, logit in user])
    logits.requires_grad_()
    found = minibatch_loss(Listwise(), logits, local.labels, local, ANYTHING)
    for loss, user in zip(found, users, strict=True):
        labels, scores = np.array([label for label, _ in user]), np.array([float(logit) for _, logit in user])
        expected = np.logaddexp.reduce(scores) - scores[labels > 0].mean() if labels.any() else 0.0
        assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-5)
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    assert torch.isfinite(gradient).all()
    assert not gradient[~local.mask].any()
    torch.testing.assert_close(
        gradient.sum(1), torch.zeros(len(users)), rtol=0, atol=1e-6
    )  # the level is of no account


def test_the_gradient_is_the_predicted_less_the_wanted_distribution() -> None:
    local = local_of([1, 0, 1], [0, 0], [])
    logits = torch.tensor([[0.0, math.log(2), 0.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], requires_grad=True)
    loss = minibatch_loss(Listwise(), logits, local.labels, local, ANYTHING)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    torch.testing.assert_close(gradient, torch.tensor([[-0.25, 0.5, -0.25], [0, 0, 0], [0, 0, 0]]))
