"""The models in plain PyTorch, as the competitors share them: ordinary modules under the parameters' names of work.py.

Every model takes the user, int64 (1, columns), and items, int64 (items, columns). For a model without history these are
the samples' items. A model with history takes each item of a batch once, row 0 being "nothing here", and also which of
these rows are the sample's item, int64 (samples,), and its history, int64 (samples, length), padded with 0.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from work import Work

Fields = dict[str, tuple[int, int]]


class NCF(nn.Module):
    """An MLP on the embeddings of the user's and the item's id."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.user_fields, self.item_fields = work.user_fields, work.item_fields
        self.embedding, self.mlp = _tables(work, "embedding"), _mlp(work)

    def forward(self, user: Tensor, items: Tensor) -> Tensor:
        """Logits (samples,)."""
        vectors = _embed(self.embedding, self.user_fields, user).expand(len(items), -1)
        logits: Tensor = self.mlp(torch.cat([vectors, _embed(self.embedding, self.item_fields, items)], dim=1))
        return logits.squeeze(1)


class LR(nn.Module):
    """One weight for each value of each field."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.user_fields, self.item_fields = work.user_fields, work.item_fields
        self.wide, self.bias = _tables(work, "wide"), nn.Parameter(torch.zeros(1))

    def forward(self, user: Tensor, items: Tensor) -> Tensor:
        """Logits (samples,)."""
        wide_user = _embed(self.wide, self.user_fields, user).sum(1)
        return _embed(self.wide, self.item_fields, items).sum(1) + wide_user + self.bias


class MeanHistory(nn.Module):
    """What a model begins with that reads the embeddings of user, item and mean history; ``top`` makes logits of it."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.user_fields, self.item_fields = work.user_fields, work.item_fields
        self.fields = len(work.user_fields) + 2 * len(work.item_fields)
        self.embedding = _tables(work, "embedding")

    def forward(self, user: Tensor, items: Tensor, item: Tensor, history: Tensor) -> Tensor:
        """Logits (samples,)."""
        vectors = _embed(self.embedding, self.item_fields, items)
        joint = torch.cat(
            [
                _embed(self.embedding, self.user_fields, user).expand(len(item), -1),
                F.embedding(item, vectors),
                F.embedding_bag(history, vectors, mode="mean", padding_idx=0),
            ],
            dim=1,
        )
        return self.top(joint)

    def top(self, joint: Tensor) -> Tensor:
        """What is made of all embeddings side by side, (samples,)."""
        raise NotImplementedError


class Wide(MeanHistory):
    """A linear part beside the rest."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self.wide = _tables(work, "wide")

    def forward(self, user: Tensor, items: Tensor, item: Tensor, history: Tensor) -> Tensor:
        """Logits (samples,)."""
        wide_user = _embed(self.wide, self.user_fields, user).sum(1)
        wide_item = _embed(self.wide, self.item_fields, items).sum(1)
        return super().forward(user, items, item, history) + wide_user + wide_item[item]


class FM(Wide):
    """Beside the linear part the products of all pairs of fields."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self.bias = nn.Parameter(torch.zeros(1))

    def top(self, joint: Tensor) -> Tensor:
        """What is made of all embeddings side by side, (samples,)."""
        return _pairs(joint, self.fields) + self.bias


class WideDeep(Wide):
    """Beside the linear part an MLP."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self.mlp = _mlp(work)

    def top(self, joint: Tensor) -> Tensor:
        """What is made of all embeddings side by side, (samples,)."""
        logits: Tensor = self.mlp(joint).squeeze(1)
        return logits


class DeepFM(WideDeep):
    """The same with the products of all pairs of fields beside it."""

    def top(self, joint: Tensor) -> Tensor:
        """What is made of all embeddings side by side, (samples,)."""
        return super().top(joint) + _pairs(joint, self.fields)


class PNN(MeanHistory):
    """An MLP that also reads the inner product of each pair of fields."""

    pairs: Tensor

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self.mlp = _mlp(work)
        rows, columns = torch.triu_indices(self.fields, self.fields, offset=1)
        self.register_buffer("pairs", rows * self.fields + columns, persistent=False)

    def top(self, joint: Tensor) -> Tensor:
        """What is made of all embeddings side by side, (samples,)."""
        fields = joint.unflatten(1, (self.fields, -1))
        products = torch.bmm(fields, fields.transpose(1, 2)).flatten(1).index_select(1, self.pairs)
        logits: Tensor = self.mlp(torch.cat([joint, products], dim=1)).squeeze(1)
        return logits


class DCNV2(MeanHistory):
    """Cross layers beside an MLP."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self.cross, self.crossed, self.mlp = _layers(work, "cross"), _linear(work, "crossed"), _mlp(work)

    def top(self, joint: Tensor) -> Tensor:
        """What is made of all embeddings side by side, (samples,)."""
        crossed = joint
        for layer in self.cross:
            crossed = torch.addcmul(crossed, joint, layer(crossed))
        logits: Tensor = (self.crossed(crossed) + self.mlp(joint)).squeeze(1)
        return logits


class AutoInt(MeanHistory):
    """Fields that attend to one another; query, key, value and residual of all heads come from one layer."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self.heads, self.attend, self.mlp = work.heads, _layers(work, "attend"), _mlp(work)

    def top(self, joint: Tensor) -> Tensor:
        """What is made of all embeddings side by side, (samples,)."""
        x = joint.unflatten(1, (self.fields, -1))
        for layer in self.attend:
            *parts, residual = layer(x).chunk(4, dim=2)
            query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
            seen = F.scaled_dot_product_attention(query, key, value, scale=1.0)
            x = torch.relu(seen.transpose(1, 2).flatten(2) + residual)
        logits: Tensor = self.mlp(x.flatten(1)).squeeze(1)
        return logits


class DIN(nn.Module):
    """An MLP on user, item and the history, each click weighted by what an attention MLP makes of it and the item."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.user_fields, self.item_fields = work.user_fields, work.item_fields
        self.embedding, self.mlp = _tables(work, "embedding"), _mlp(work)
        self.attend_item, self.attend_click, self.attend_product, self.attention = (
            _linear(work, name) for name in ("attend_item", "attend_click", "attend_product", "attention")
        )

    def forward(self, user: Tensor, items: Tensor, item: Tensor, history: Tensor) -> Tensor:
        """Logits (samples,)."""
        vectors = _embed(self.embedding, self.item_fields, items)
        shown, clicks = vectors[item], vectors[history]
        hidden = torch.relu(
            self.attend_item(shown).unsqueeze(1)
            + self.attend_click(clicks)
            + self.attend_product(shown.unsqueeze(1) * clicks)
        )
        interest = (self.attention(hidden) * clicks).sum(1)  # row 0 embeds to zeros, so that padding adds nothing
        vector = _embed(self.embedding, self.user_fields, user).expand(len(item), -1)
        logits: Tensor = self.mlp(torch.cat([vector, shown, interest], dim=1))
        return logits.squeeze(1)


class GRU(nn.Module):
    """A gated recurrent unit that changes its state at each place by a share; read, gates and renewal are layers."""

    def __init__(self, work: Work, name: str) -> None:
        super().__init__()
        self.read, self.gate, self.renew = (_linear(work, f"{name}.{part}") for part in ("read", "gate", "renew"))

    def forward(self, inputs: Tensor, shares: Tensor) -> Tensor:
        """States after each place (samples, length, size), of inputs (samples, length, width) and shares."""
        size, states = self.renew.out_features, [inputs.new_zeros(len(inputs), self.renew.out_features)]
        for read, share in zip(self.read(inputs).unbind(1), shares.unsqueeze(2).unbind(1), strict=True):
            reset, update = torch.sigmoid(read[:, : 2 * size] + self.gate(states[-1])).chunk(2, dim=1)
            fresh = torch.tanh(read[:, 2 * size :] + reset * self.renew(states[-1]))
            states.append(torch.lerp(states[-1], fresh, share * update))
        return torch.stack(states[1:], dim=1)


class DIEN(nn.Module):
    """An MLP on user, item and how the interest in the item evolved over the history."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.user_fields, self.item_fields = work.user_fields, work.item_fields
        self.embedding, self.mlp = _tables(work, "embedding"), _mlp(work)
        self.extract, self.evolve, self.attend = GRU(work, "extract"), GRU(work, "evolve"), _linear(work, "attend")

    def forward(self, user: Tensor, items: Tensor, item: Tensor, history: Tensor) -> Tensor:
        """Logits (samples,)."""
        vectors, oldest_first = _embed(self.embedding, self.item_fields, items), history.flip(1)
        shown, present = vectors[item], (oldest_first > 0).float()
        interests = self.extract(vectors[oldest_first], present)  # where nothing is, the state remains
        relevance = torch.bmm(interests, self.attend(shown).unsqueeze(2)).squeeze(2)
        attention = relevance.masked_fill(present == 0, -1e9).softmax(1) * present
        interest = self.evolve(interests, attention)[:, -1]
        vector = _embed(self.embedding, self.user_fields, user).expand(len(item), -1)
        logits: Tensor = self.mlp(torch.cat([vector, shown, interest], dim=1))
        return logits.squeeze(1)


MODELS: dict[str, type[nn.Module]] = {
    "ncf": NCF,
    "wide-deep": WideDeep,
    "deepfm": DeepFM,
    "fm": FM,
    "pnn": PNN,
    "dcn-v2": DCNV2,
    "autoint": AutoInt,
    "din": DIN,
    "dien": DIEN,
    "lr": LR,
}


def published_model(work: Work) -> nn.Module:
    """The published model."""
    model = MODELS[work.model](work)
    model.load_state_dict({name: torch.from_numpy(values) for name, values in work.parameters.items()})
    return model


def _pairs(joint: Tensor, fields: int) -> Tensor:
    """The sum of the inner products of all pairs of fields, which stand side by side, (samples,)."""
    vectors = joint.unflatten(1, (fields, -1))
    found: Tensor = (vectors.sum(1).square() - vectors.square().sum(1)).sum(1) / 2
    return found


def _mlp(work: Work) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers = [_linear(work, f"mlp.{2 * index}") for index in range(_count(work, "mlp"))]
    return nn.Sequential(*[module for layer in layers for module in (layer, nn.ReLU())][:-1])


def _layers(work: Work, name: str) -> nn.ModuleList:
    """Linear layers that a module counts."""
    return nn.ModuleList(_linear(work, f"{name}.{index}") for index in range(_count(work, name)))


def _count(work: Work, name: str) -> int:
    """How many layers of the name there are."""
    return sum(parameter.startswith(f"{name}.") and parameter.endswith(".weight") for parameter in work.parameters)


def _linear(work: Work, name: str) -> nn.Linear:
    outputs, inputs = work.parameters[f"{name}.weight"].shape
    return nn.Linear(inputs, outputs, bias=f"{name}.bias" in work.parameters)


def _tables(work: Work, kind: str) -> nn.ModuleDict:
    """The table of every field; several values are averaged."""
    tables = nn.ModuleDict()
    for name, (first, stop) in (work.user_fields | work.item_fields).items():
        values, size = work.parameters[f"{kind}.{name}.weight"].shape
        if stop - first == 1:
            tables[name] = nn.Embedding(values, size, padding_idx=0)
        else:
            tables[name] = nn.EmbeddingBag(values, size, mode="mean", padding_idx=0)
    return tables


def _embed(tables: nn.ModuleDict, fields: Fields, codes: Tensor) -> Tensor:
    """The fields side by side, (rows, size times fields)."""
    vectors = [
        tables[name](codes[:, first] if stop - first == 1 else codes[:, first:stop])
        for name, (first, stop) in fields.items()
    ]
    return vectors[0] if len(vectors) == 1 else torch.cat(vectors, dim=1)
