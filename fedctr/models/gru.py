"""A gated recurrent unit in which some places count for less than others, and the interest that two of them follow."""

from typing import Any

import torch
from torch import Tensor, nn

from fedctr.models.descent import Descent, weight_gradient
from fedctr.models.layers import Linear, pick


class GRU(nn.Module):
    """A gated recurrent unit that is told how much each place may change its state.

    The state is 0 at first; ``x`` makes ``h' = (1 - a u) h + a u n`` of state ``h``, where ``a`` is the place's share,
    ``r, u = sigmoid(W x + b + U h)`` and ``n = tanh(W x + b + r * (U h))``, with parameters of their own each.

    With shares of 1 this is the unit of Cho et al. (EMNLP 2014, arXiv 1406.1078), but that the reset gate acts after
    the product; with weights of attention it is AUGRU (arXiv 1809.03672, section 4.3). With 0, the state remains.

    Args:
        inputs: width of the input.
        size: width of the state.
    """

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.read = Linear(inputs, 3 * size, parts=3)
        self.gate = Linear(size, 2 * size, bias=False, parts=2)
        self.renew = Linear(size, size, bias=False)

    def forward(self, read: Tensor, shares: Tensor) -> Tensor:
        """The states after each place.

        Args:
            read: what the layer ``read`` makes of the inputs, float32 (users, length, samples, 3 size).
            shares: float32 (users, length, samples).

        Returns:
            float32 (users, length, samples, size).
        """
        weights, descent = (self.gate.weight, self.renew.weight), Descent.entered()
        if descent:
            descent.uses(*weights)
        own = (weight if weight.dim() == 3 else weight.expand(len(read), -1, -1) for weight in weights)
        states: Tensor = _States.apply(descent, read, shares, *own)  # type: ignore[no-untyped-call]
        return states


class _States(torch.autograd.Function):
    """All places at once: autograd would add up a gradient of the weights for each."""

    @staticmethod
    def forward(ctx: Any, descent: Descent | None, read: Tensor, shares: Tensor, gate: Tensor, renew: Tensor) -> Tensor:
        users, length, samples, width = read.shape
        size = width // 3
        states = read.new_zeros(users, length + 1, samples, size)  # the first is the one to begin with
        made = []
        for place in range(length):
            here, before = read[:, place], states[:, place]
            gates = torch.baddbmm(here[..., : 2 * size], before, gate.transpose(1, 2)).sigmoid_()
            recalled = torch.bmm(before, renew.transpose(1, 2))
            reset, update = gates.split(size, dim=-1)
            fresh = torch.addcmul(here[..., 2 * size :], reset, recalled).tanh_()
            moved = update * shares[:, place].unsqueeze(-1)
            torch.addcmul(before, moved, fresh - before, out=states[:, place + 1])
            made += [gates, recalled, fresh, moved]
        ctx.descent, ctx.weights = descent, (gate, renew)
        ctx.save_for_backward(states, shares, *made)
        return states[:, 1:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        states, shares, *made = ctx.saved_tensors
        (gate, renew), descent = ctx.weights, ctx.descent
        _, needs_read, needs_shares, needs_gate, needs_renew = ctx.needs_input_grad
        users, length, samples, size = gradient.shape
        of_read, of_recalled = gradient.new_empty(users, length, samples, 3 * size), torch.empty_like(gradient)
        of_shares = torch.empty_like(shares) if needs_shares else None
        of_state = gradient.new_zeros(users, samples, size)
        for place in reversed(range(length)):
            gates, recalled, fresh, moved = made[4 * place : 4 * place + 4]
            reset, update = gates.split(size, dim=-1)
            of_reset, of_update, of_fresh = of_read[:, place].split(size, dim=-1)
            of_gates, of_product = of_read[:, place, :, : 2 * size], of_recalled[:, place]
            of_state += gradient[:, place]
            of_moved = of_state * (fresh - states[:, place])
            torch.mul(of_moved, shares[:, place].unsqueeze(-1), out=of_update)
            torch.ops.aten.tanh_backward(of_state * moved, fresh, grad_input=of_fresh)
            torch.mul(of_fresh, recalled, out=of_reset)
            torch.mul(of_fresh, reset, out=of_product)
            torch.ops.aten.sigmoid_backward(of_gates, gates, grad_input=of_gates)
            if of_shares is not None:
                torch.sum(of_moved.mul_(update), -1, out=of_shares[:, place])
            of_state.addcmul_(of_state, moved, value=-1)
            of_state.baddbmm_(of_gates, gate).baddbmm_(of_product, renew)
        before = states[:, :-1].flatten(1, 2)
        found = [
            weight_gradient(descent, weight, of_weight.flatten(1, 2), before) if needed else None
            for needed, weight, of_weight in (
                (needs_gate, gate, of_read[..., : 2 * size]),
                (needs_renew, renew, of_recalled),
            )
        ]
        return None, of_read if needs_read else None, of_shares, *found


def follow_interest(item: Tensor, clicks: Tensor, history: Tensor, extract: GRU, attend: Linear, evolve: GRU) -> Tensor:
    """How the interest in each sample's item evolved over the clicks before it.

    A unit reads the clicks, oldest first, and makes an interest of each; a second one reads the interests ``h``, of
    which each counts by the softmax of ``h' W e`` for the item ``e``. Without clicks the interest is 0.

    Args:
        item: float32 (users, samples, size).
        clicks: float32 (users, n, size); a place of zeros is no click.
        history: places in ``clicks``, latest first, int64 (users, samples, length).
        extract: makes interests of clicks.
        attend: the weight ``W``.
        evolve: reads the interests.

    Returns:
        float32 (users, samples, size).
    """
    oldest_first = history.flip(2).transpose(1, 2)
    present = pick(clicks.detach().ne(0).any(-1, keepdim=True).float(), oldest_first).squeeze(-1)
    interests = extract(pick(extract.read(clicks), oldest_first), present)
    relevance = (interests * attend(item).unsqueeze(1)).sum(-1)
    attention = relevance.masked_fill(present == 0, -1e9).softmax(1) * present
    read = evolve.read(interests.flatten(1, 2)).unflatten(1, oldest_first.shape[1:])
    found: Tensor = evolve(read, attention)[:, -1]
    return found
