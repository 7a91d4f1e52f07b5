"""The work in plain PyTorch, as the competitors share it: the models, one user's batches, fine-tuning, ranking."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from work import Integers, Part, Work, auc

Fields = dict[str, tuple[int, int]]

# Some samples of one user: what the model's forward takes, and then the labels, float32 (samples,).
# Every model takes the user, int64 (1, columns), and items, int64 (items, columns). For a model without history these
# are the samples' items. A model with history takes each item of the batch once, row 0 being "nothing here", and also
# which of these rows are the sample's item, int64 (samples,), and its history, int64 (samples, length), padded with 0.
Batch = tuple[Tensor, ...]


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


class WideDeep(nn.Module):
    """A linear part beside an MLP on the embeddings of user, item and mean history."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.user_fields, self.item_fields = work.user_fields, work.item_fields
        self.wide, self.embedding, self.mlp = _tables(work, "wide"), _tables(work, "embedding"), _mlp(work)

    def forward(self, user: Tensor, items: Tensor, item: Tensor, history: Tensor) -> Tensor:
        """Logits (samples,)."""
        vectors = _embed(self.embedding, self.item_fields, items)
        deep = torch.cat(
            [
                _embed(self.embedding, self.user_fields, user).expand(len(item), -1),
                F.embedding(item, vectors),
                F.embedding_bag(history, vectors, mode="mean", padding_idx=0),
            ],
            dim=1,
        )
        wide_user = _embed(self.wide, self.user_fields, user).sum(1)
        wide_item = _embed(self.wide, self.item_fields, items).sum(1)
        logits: Tensor = self.top(deep) + wide_user + wide_item[item]
        return logits

    def top(self, deep: Tensor) -> Tensor:
        """What is made of all embeddings side by side."""
        found: Tensor = self.mlp(deep).squeeze(1)
        return found


class DeepFM(WideDeep):
    """The same with the products of all pairs of fields beside it."""

    def top(self, deep: Tensor) -> Tensor:
        """What is made of all embeddings side by side."""
        fields = deep.unflatten(1, (-1, deep.shape[1] // (len(self.user_fields) + 2 * len(self.item_fields))))
        return super().top(deep) + (fields.sum(1).square() - fields.square().sum(1)).sum(1) / 2


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


MODELS: dict[str, type[nn.Module]] = {"ncf": NCF, "wide-deep": WideDeep, "deepfm": DeepFM, "din": DIN, "lr": LR}


def published_model(work: Work) -> nn.Module:
    """The published model."""
    model = MODELS[work.model](work)
    model.load_state_dict({name: torch.from_numpy(values) for name, values in work.parameters.items()})
    return model


def fine_tune(model: nn.Module, optimiser: torch.optim.Optimizer, batches: Iterable[Batch]) -> None:
    """Take a step on every batch."""
    for *features, label in batches:
        loss = F.binary_cross_entropy_with_logits(model(*features), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@torch.no_grad()
def measure(model: nn.Module, batch: Batch) -> float:
    """The model's AUC on one user's samples."""
    *features, label = batch
    return auc(model(*features).numpy(), label.numpy())


def training_batches(work: Work, user: int) -> Iterator[Batch]:
    """The batches of one user's fine-tuning, all epochs, in order."""
    for rows in work.training_rows(user):
        yield _batch(work, user, work.train, rows)


def test_batch(work: Work, user: int) -> Batch:
    """All samples of one user to be ranked."""
    rows = work.test.of(user)
    return _batch(work, user, work.test, np.arange(rows.start, rows.stop))


def _batch(work: Work, user: int, part: Part, rows: Integers) -> Batch:
    arrays = [work.user_codes[user : user + 1]]
    if part.history.shape[1]:
        numbers = np.concatenate([part.item[rows, None], part.history[rows]], axis=1)
        distinct, index = np.unique(np.append(numbers, 0), return_inverse=True)
        index = index[:-1].reshape(numbers.shape)
        arrays += [work.item_codes[distinct], index[:, 0].copy(), index[:, 1:].copy()]
    else:
        arrays += [work.item_codes[part.item[rows]]]
    return *map(torch.from_numpy, arrays), torch.from_numpy(part.label[rows])


def _mlp(work: Work) -> nn.Sequential:
    """Three linear layers with ReLU between them."""
    first, second, last = (_linear(work, f"mlp.{index}") for index in (0, 2, 4))
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)


def _linear(work: Work, name: str) -> nn.Linear:
    outputs, inputs = work.parameters[f"{name}.weight"].shape
    return nn.Linear(inputs, outputs)


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
