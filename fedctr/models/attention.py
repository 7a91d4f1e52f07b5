"""How much each earlier click has to do with an item."""

from torch import Tensor

from fedctr.models.layers import Linear, pick, pool


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
