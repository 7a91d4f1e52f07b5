import math

import pytest
import torch

from fedctr.published import Published
from fedctr.strategy import cross_entropy_gradient, minibatch_loss
from strategies.label_correction import LabelCorrection
from strategies.reweighting import Reweighting
from tests.engine import ANYTHING, local_of

# At a global CTR of one quarter: too many positives, none, only positives, nothing at all.
USERS = local_of([1, 0], [0, 0], [1], [])
ZERO = torch.zeros_like(USERS.labels)


def test_by_hand() -> None:
    found = Reweighting().loss(ZERO, USERS.labels, USERS, ANYTHING) / math.log(2)
    weights = [[0.25 / 0.5, 0.75 / 0.5], [0.75, 0.75], [0.25]]
    assert [row[mask].tolist() for row, mask in zip(found, USERS.mask, strict=True)] == [
        *map(pytest.approx, weights),
        [],
    ]


def test_a_user_of_both_classes_counts_as_much_as_before() -> None:
    local = local_of([1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0, 0, 0, 0])
    weights = Reweighting().loss(torch.zeros_like(local.labels), local.labels, local, ANYTHING) / math.log(2)
    torch.testing.assert_close(local.mean(weights), torch.ones(3, 1))
    torch.testing.assert_close(local.mean(weights * local.labels), torch.full((3, 1), 0.25))


def test_no_gradient_is_spent_on_the_prior_as_with_label_correction() -> None:
    local = local_of([1, 0, 0], [1, 1, 1, 0])
    bias = torch.full((2, 1), math.log(0.25 / 0.75), requires_grad=True)
    loss = minibatch_loss(Reweighting(), bias.expand(2, 4), local.labels, local, ANYTHING)
    (gradient,) = torch.autograd.grad(loss.sum(), bias)
    torch.testing.assert_close(gradient, torch.zeros(2, 1), rtol=0, atol=1e-7)
    corrected = LabelCorrection().targets(local, ANYTHING)
    corrected_gradient = cross_entropy_gradient(bias.detach().expand(2, 4), corrected, local.mask).sum(1)
    torch.testing.assert_close(corrected_gradient, torch.zeros(2), rtol=0, atol=1e-7)


@pytest.mark.parametrize("global_ctr", [0.0, 0.5, 1.0])
def test_losses_are_finite_for_every_user_and_prior(global_ctr: float) -> None:
    published = Published(ANYTHING.spec, ANYTHING.schema, ANYTHING.model, global_ctr)
    assert torch.isfinite(minibatch_loss(Reweighting(), ZERO, USERS.labels, USERS, published)).all()
