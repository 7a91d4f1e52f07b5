"""Attention: of an item to earlier clicks, and of fields to one another."""

import torch
from torch import Tensor

from fedctr.models.layers import Linear, beside, pick, pool


def attend(
    item: Tensor, clicks: Tensor, history: Tensor, by_item: Linear, by_click: Linear, by_product: Linear, weigh: Linear
) -> Tensor:
    """The sum of the clicks before each sample, weighted by an MLP on item, click and their product.

    The MLP's first layer is written as a sum of three, so that the item's part is computed once and not for every
    click.

    Args:
        item: float32 (users, samples, width).
        clicks: float32 (users, n, width).
        history: places in ``clicks``, int64 (users, samples, length).
        by_item: what the first layer makes of the item ...
        by_click: ... of the click ...
        by_product: ... and of their product, element by element.
        weigh: the second layer, of width 1.

    Returns:
        float32 (users, samples, width).
    """
    products = (item.unsqueeze(2) * pick(clicks, history)).flatten(1, 2)
    hidden = by_product(products).unflatten(1, history.shape[1:])
    # In place: these are the largest tensors of all.
    hidden += pick(by_click(clicks), history)
    hidden += by_item(item).unsqueeze(2)
    return pool(clicks, history, weigh(hidden.relu_().flatten(1, 2)).view(history.shape))


def attend_fields(x: Tensor, fields: int, heads: int, layer: Linear, constant: Tensor | None = None) -> Tensor:
    """What fields become that attend to one another and to themselves, residuals included.

    Args:
        x: vectors of fields side by side, float32 (users, samples, width).
        fields: how many, with those of the constant.
        heads: how many heads there are.
        layer: gives each field's query, key, value and residual, of all heads.
        constant: vectors of further fields that stand before the others, float32 (users, samples or 1, width). What is
            the same for all samples of a user, the compiled engine computes once.

    Returns:
        float32 (users, samples, fields * outputs), of which the layer has four times as many.
    """
    x = x if constant is None else beside(constant, x)
    users, samples, width = x.shape
    parts = layer(x.view(users, samples * fields, width // fields))
    parts = parts.view(users * samples, fields, 4, heads, parts.shape[2] // (4 * heads))
    # One matrix for each sample and head, (fields, size of the head).
    query, key, value = parts[:, :, :3].permute(2, 0, 3, 1, 4).flatten(1, 2).unbind()
    # Softmax takes several times as long over a short last axis, so the keys come before the queries.
    attention = torch.bmm(key, query.transpose(1, 2)).softmax(1).transpose(1, 2)
    seen = torch.bmm(attention, value).unflatten(0, (users * samples, heads)).transpose(1, 2)
    found: Tensor = (parts[:, :, 3] + seen).relu().flatten(1).unflatten(0, (users, samples))
    return found
