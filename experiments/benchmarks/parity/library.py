"""DeepCTR-Torch's models of the same kind as ours, on our features, trained as we train ours."""

import copy
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from fedctr.cloud import CloudTraining
from fedctr.data.dataset import Dataset, Field, slices
from fedctr.data.split import Part, Split
from fedctr.features import Histories
from fedctr.models.model import models

# When imported, the library looks for a newer version of itself on the network, which a benchmark should not.
sys.modules["deepctr_torch.utils"] = types.SimpleNamespace(check_version=lambda version: None)  # type: ignore[assignment]
from deepctr_torch import models as library_models  # noqa: E402
from deepctr_torch.inputs import SparseFeat, VarLenSparseFeat, get_varlen_pooling_list, varlen_embedding_lookup  # noqa: E402

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Columns = list[SparseFeat | VarLenSparseFeat]
Options = Mapping[str, Any]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


def rows_of(parts: Split, part: Part) -> Rows:
    """Rows of one part, by user."""
    return np.concatenate([np.arange(first, stop) for first, stop in zip(*parts.bounds(part), strict=True)])


def fields(dataset: Dataset) -> tuple[Field, ...]:
    """What both sides read of user and item; the user's id is left out."""
    return dataset.schema.user_fields[1:] + dataset.schema.item_fields


def inputs(dataset: Dataset, parts: Split, rows: Rows, history: int) -> dict[str, npt.NDArray[Any]]:
    """The coded features of some rows, as DeepCTR-Torch wants them: one array for each column, oldest click first."""
    owner = np.repeat(np.arange(dataset.users), np.diff(dataset.offsets))[rows]
    past = Histories.build(dataset, parts, range(dataset.users), history).of(rows)
    clicks = np.where(past >= 0, dataset.item[past] + 1, 0)[:, ::-1]
    clicks = np.take_along_axis(clicks, np.argsort(clicks == 0, axis=1, kind="stable"), axis=1)
    found = {"clicks": (clicks > 0).sum(1)}
    for field, columns in list(slices(dataset.schema.user_fields))[1:]:
        found[field.name] = dataset.user_codes[owner, columns]
    for field, columns in slices(dataset.schema.item_fields):
        found[field.name] = dataset.item_codes[dataset.item[rows], columns]
        found[f"hist_{field.name}"] = dataset.described[clicks][..., columns].reshape(len(rows), -1)
    return found


def column(field: Field, embedding: int) -> SparseFeat | VarLenSparseFeat:
    """A field of the user or the shown item; several values are averaged."""
    one = SparseFeat(field.name, field.cardinality, embedding)
    return one if field.values == 1 else VarLenSparseFeat(one, field.values, "mean")


def history_column(field: Field, embedding: int, history: int) -> VarLenSparseFeat:
    """A field of the earlier clicks; it shares the table of the shown item."""
    one = SparseFeat(f"hist_{field.name}", field.cardinality, embedding, embedding_name=field.name)
    # Several values have no common length: there, the library skips every code 0 instead.
    return VarLenSparseFeat(one, history * field.values, "mean", "clicks" if field.values == 1 else None)


def first_order(dataset: Dataset, options: Options) -> Columns:
    """User and item, for weights of their own."""
    return [column(field, 1) for field in fields(dataset)]


def embedded(dataset: Dataset, options: Options) -> Columns:
    """User, item and history, for embeddings."""
    size = options["embedding"]
    return [column(field, size) for field in fields(dataset)] + [
        history_column(field, size, options["history"]) for field in dataset.schema.item_fields
    ]


def none(dataset: Dataset, options: Options) -> Columns:
    """No columns."""
    return []


def attended(dataset: Dataset, options: Options) -> list[str]:
    """Fields of the item that the library can attend by: those of one value."""
    return [field.name for field in dataset.schema.item_fields if field.values == 1]


class DIEN(library_models.DIEN):  # type: ignore[misc]
    """The library's, but that its MLP also reads fields of several values, which it leaves out."""

    def _pooled(self) -> Columns:
        return [column for column in self.varlen_sparse_feature_columns if column.length_name is None]

    def _compute_dnn_dim(self) -> int:
        width: int = super()._compute_dnn_dim() + sum(column.embedding_dim for column in self._pooled())
        return width

    def _get_deep_input_emb(self, x: torch.Tensor) -> torch.Tensor:
        vectors = varlen_embedding_lookup(x, self.embedding_dict, self.feature_index, self._pooled())
        pooled = get_varlen_pooling_list(vectors, x, self.feature_index, self._pooled(), self.device)
        return torch.cat([super()._get_deep_input_emb(x), *(vector.squeeze(1) for vector in pooled)], dim=1)


def autoint(linear: Columns, columns: Columns, **keywords: Any) -> Any:
    """The library's, but that its last layer counts a table that two fields share twice, where it fails otherwise."""
    model = library_models.AutoInt(linear, columns, **keywords)
    model.dnn_linear = torch.nn.Linear(sum(column.embedding_dim for column in columns), 1, bias=False)
    return model


@dataclass(frozen=True)
class Library:
    """How the library is asked for a model of the kind of ours.

    Attributes:
        model: makes it.
        reads: its positional arguments, of the data set and the default options of our model.
        keywords: its keywords, of our options.
    """

    model: Callable[..., Any]
    reads: tuple[Callable[[Dataset, Options], list[Any]], ...]
    keywords: Callable[[Options], dict[str, Any]]

    def build(self, dataset: Dataset, options: Options, seed: int) -> Any:
        """A fresh model, without penalties of its own."""
        reads = [columns(dataset, options) for columns in self.reads]
        model = self.model(*reads, seed=seed, **self.keywords(options))
        model.regularization_weight.clear()
        return model


def same_hidden(options: Options) -> dict[str, Any]:
    """Hidden layers as ours."""
    return {"dnn_hidden_units": options["hidden"]}


LIBRARY = {
    "lr": Library(library_models.WDL, (first_order, none), lambda options: {}),
    "fm": Library(library_models.DeepFM, (first_order, embedded), lambda options: {"dnn_hidden_units": ()}),
    "wide-deep": Library(library_models.WDL, (first_order, embedded), same_hidden),
    "deepfm": Library(library_models.DeepFM, (first_order, embedded), same_hidden),
    "pnn": Library(library_models.PNN, (embedded,), same_hidden),
    "din": Library(
        library_models.DIN,
        (embedded, attended),
        lambda options: {
            **same_hidden(options),
            "att_hidden_size": (options["attention"],),
            "att_activation": "relu",
        },
    ),
    "dien": Library(
        DIEN,
        (embedded, attended),
        lambda options: {**same_hidden(options), "gru_type": "AUGRU", "att_hidden_units": (16,)},
    ),
    "dcn-v2": Library(
        library_models.DCN,
        (none, embedded),
        lambda options: {
            **same_hidden(options),
            "cross_num": options["cross"],
            "cross_parameterization": "matrix",
        },
    ),
    "autoint": Library(
        autoint,
        (none, embedded),
        lambda options: {
            "dnn_hidden_units": (),
            "att_layer_num": options["layers"],
            "att_head_num": options["heads"],
        },
    ),
}


def start_as_ours(model: torch.nn.Module) -> None:
    """Draw initial parameters from our distributions; the library's are so small that its training starts late."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(module, torch.nn.Embedding):
                torch.nn.init.normal_(parameter, std=0.01)
            elif "bias" in name or parameter.dim() == 1:
                torch.nn.init.zeros_(parameter)
            else:  # weights of three gates below one another, or one matrix or several
                gates = "_ih" in name or "_hh" in name
                for weight in parameter.chunk(3) if gates else parameter.view(-1, *parameter.shape[-2:]):
                    torch.nn.init.xavier_uniform_(weight)


def matrix(model: Any, columns: Mapping[str, npt.NDArray[Any]]) -> torch.Tensor:
    """Inputs as the library's models read them: all columns side by side, float32 (rows, columns)."""
    found = [columns[name].reshape(len(columns[name]), -1) for name in model.feature_index]
    return torch.from_numpy(np.concatenate(found, axis=1).astype(np.float32))


def library(name: str, dataset: Dataset, parts: Split, training: CloudTraining, seed: int, as_shipped: bool) -> Floats:
    """Logits of the test part by the library's model, trained as :func:`fedctr.cloud.publish` trains ours."""
    options: Options = dict(models.find(name).__init__.__kwdefaults__ or {})
    model = LIBRARY[name].build(dataset, options, seed)
    if not as_shipped:
        start_as_ours(model)
    x, labels = {}, {}
    for part in PARTS:
        rows = rows_of(parts, part)
        x[part] = matrix(model, inputs(dataset, parts, rows, options.get("history", 1)))
        labels[part] = torch.from_numpy(dataset.label[rows].astype(np.float32))

    def chances(part: Part) -> torch.Tensor:
        model.eval()
        with torch.no_grad():
            return torch.cat([model(chunk).squeeze(1) for chunk in x[part].split(8192)]).clamp(1e-7, 1 - 1e-7)

    adam = torch.optim.Adam(model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)
    best, best_epoch, best_state = float("inf"), 0, {}
    for epoch in range(1, training.epochs + 1):
        model.train()
        for batch in torch.randperm(len(x["train"])).split(training.batch_size):
            adam.zero_grad()
            F.binary_cross_entropy(model(x["train"][batch]).squeeze(1), labels["train"][batch]).backward()
            adam.step()
        loss = float(F.binary_cross_entropy(chances("validation"), labels["validation"]))
        if loss < best:
            best, best_epoch, best_state = loss, epoch, copy.deepcopy(model.state_dict())
        elif epoch - best_epoch >= training.patience:
            break
    model.load_state_dict(best_state)
    logits: Floats = chances("test").double().logit().numpy()
    return logits
