"""A gated recurrent unit in which some places count for less than others."""

from typing import Any

import torch
from torch import Tensor, nn

from fedctr.models.descent import Descent, weight_gradient
from fedctr.models.layers import Linear


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
        self.recall = Linear(size, 3 * size, bias=False, parts=3)

    def forward(self, read: Tensor, shares: Tensor) -> Tensor:
        """The states after each place.

        Args:
            read: what the layer ``read`` makes of the inputs, float32 (users, length, samples, 3 size).
            shares: float32 (users, length, samples).

        Returns:
            float32 (users, length, samples, size).
        """
        weight, descent = self.recall.weight, Descent.entered()
        if descent:
            descent.uses(weight)
        if weight.dim() == 2:
            weight = weight.expand(len(read), -1, -1)
        states: Tensor = _States.apply(descent, read, shares, weight)  # type: ignore[no-untyped-call]
        return states


class _States(torch.autograd.Function):
    """All places at once: autograd would add up a gradient of the weight for each."""

    @staticmethod
    def forward(ctx: Any, descent: Descent | None, read: Tensor, shares: Tensor, weight: Tensor) -> Tensor:
        users, length, samples, width = read.shape
        size = width // 3
        states = read.new_zeros(users, length + 1, samples, size)  # the first is the one to begin with
        gating, renewing = weight[:, : 2 * size].transpose(1, 2), weight[:, 2 * size :].transpose(1, 2)
        made = []
        for place in range(length):
            here, before = read[:, place], states[:, place]
            gates = torch.baddbmm(here[..., : 2 * size], before, gating).sigmoid_()
            recalled = torch.bmm(before, renewing)
            reset, update = gates.split(size, dim=-1)
            fresh = torch.addcmul(here[..., 2 * size :], reset, recalled).tanh_()
            moved = update * shares[:, place].unsqueeze(-1)
            torch.addcmul(before, moved, fresh - before, out=states[:, place + 1])
            made += [gates, recalled, fresh, moved]
        ctx.descent, ctx.weight = descent, weight
        ctx.save_for_backward(states, shares, *made)
        return states[:, 1:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        states, shares, *made = ctx.saved_tensors
        _, needs_read, needs_shares, needs_weight = ctx.needs_input_grad
        users, length, samples, size = gradient.shape
        of_read, of_recall = (gradient.new_empty(users, length, samples, 3 * size) for _ in range(2))
        of_shares = torch.empty_like(shares) if needs_shares else None
        of_state = gradient.new_zeros(users, samples, size)
        for place in reversed(range(length)):
            gates, recalled, fresh, moved = made[4 * place : 4 * place + 4]
            reset, update = gates.split(size, dim=-1)
            of_state += gradient[:, place]
            of_moved = of_state * (fresh - states[:, place])
            of_fresh = torch.ops.aten.tanh_backward(of_state * moved, fresh)
            of_update = of_moved * shares[:, place].unsqueeze(-1)
            of_gates = torch.ops.aten.sigmoid_backward(torch.cat([of_fresh * recalled, of_update], dim=-1), gates)
            of_read[:, place] = torch.cat([of_gates, of_fresh], dim=-1)
            of_recall[:, place] = torch.cat([of_gates, of_fresh * reset], dim=-1)
            if of_shares is not None:
                of_shares[:, place] = (of_moved * update).sum(-1)
            of_state = torch.addcmul(of_state, of_state, moved, value=-1).baddbmm_(of_recall[:, place], ctx.weight)
        of_weight = None
        if needs_weight:
            of_weight = weight_gradient(ctx.descent, ctx.weight, of_recall.flatten(1, 2), states[:, :-1].flatten(1, 2))
        return None, of_read if needs_read else None, of_shares, of_weight
