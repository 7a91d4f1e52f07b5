"""Our globally trained models against a library's of the same kind.

Trains models with fedctr and with DeepCTR-Torch (https://github.com/shenweichen/DeepCTR-Torch) on the same
MovieLens-100K split, features and budget, and prints a Markdown table of the test metrics of both. It exits with an
error if one of ours is worse by more than noise.
"""

import argparse
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

from fedctr import metrics
from fedctr.cloud import CloudTraining, publish
from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset, Field, slices
from fedctr.data.split import Fractions, Part, Split, split
from fedctr.features import Features, Histories
from fedctr.models.model import models
from fedctr.statistics import Interval, paired_difference

# When imported, the library looks for a newer version of itself on the network, which a benchmark should not.
sys.modules["deepctr_torch.utils"] = types.SimpleNamespace(check_version=lambda version: None)  # type: ignore[assignment]
from deepctr_torch import models as library_models  # noqa: E402
from deepctr_torch.inputs import SparseFeat, VarLenSparseFeat, get_varlen_pooling_list, varlen_embedding_lookup  # noqa: E402

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Columns = list[SparseFeat | VarLenSparseFeat]
Options = Mapping[str, Any]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Result:
    """What a method reached on the test part: pooled AUC and log loss (seeds,), AUC per user (users, seeds)."""

    pooled_auc: Floats
    log_loss: Floats
    auc_by_user: Floats

    @property
    def user_auc(self) -> Floats:
        """Mean over users, (seeds,)."""
        return np.array([metrics.auc_user_mean(auc) for auc in self.auc_by_user.T])


def rows_of(parts: Split, part: Part) -> Rows:
    """Rows of one part, by user."""
    return np.concatenate([np.arange(first, stop) for first, stop in zip(*parts.bounds(part), strict=True)])


def evaluate(dataset: Dataset, parts: Split, logits_by_seed: list[Floats]) -> Result:
    """Score logits of the test part, (samples,) for each seed."""
    labels = dataset.label[rows_of(parts, "test")]
    first, stop = parts.bounds("test")
    impressions = stop - first
    offsets = np.concatenate([[0], np.cumsum(impressions)])
    losses = [metrics.user_log_loss(logits, labels, offsets) for logits in logits_by_seed]
    return Result(
        np.array([metrics.auc(logits, labels) for logits in logits_by_seed]),
        np.array([metrics.log_loss_impressions(loss, impressions) for loss in losses]),
        np.column_stack([metrics.user_auc(logits, labels, offsets) for logits in logits_by_seed]),
    )


def ours(name: str, dataset: Dataset, parts: Split, training: CloudTraining, seed: int) -> Floats:
    """Logits of the test part by our model."""
    published, _ = publish(name, dataset, Fractions(), training, seed, lambda epoch, loss: None)
    model = published.model.eval()
    features = Features.build(dataset, parts, range(dataset.users), model.history_length)
    owner = np.repeat(np.arange(dataset.users), np.diff(dataset.offsets))
    rows = rows_of(parts, "test")
    with torch.no_grad():
        logits: Floats = model(features.batch(rows[None], owner[rows][None]))[0].numpy().astype(np.float64)
    return logits


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
            else:  # a matrix, several of them, or one for each of three gates below one another
                for matrix in (
                    parameter.chunk(3) if "_ih" in name or "_hh" in name else parameter.view(-1, *parameter.shape[-2:])
                ):
                    torch.nn.init.xavier_uniform_(matrix)


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


def standard_error(mine: Floats, theirs: Floats) -> float:
    """Of the difference between two means over seeds."""
    return float(np.sqrt(mine.var(ddof=1) / len(mine) + theirs.var(ddof=1) / len(theirs)))


def table_row(name: str, metric: str, mine: Floats, theirs: Floats, users: Interval | None) -> str:
    """One row of the table."""
    cells = [f"{scores.mean():.4f} ± {scores.std(ddof=1):.4f}" for scores in (mine, theirs)]
    error = 2 * standard_error(mine, theirs)
    interval = f"[{users.low:+.4f}, {users.high:+.4f}]" if users else ""
    return (
        f"| {name} | {metric} | {' | '.join(cells)} | {mine.mean() - theirs.mean():+.4f} | {error:.4f} | {interval} |"
    )


def main() -> int:
    """Print the table; 1 if one of our models is worse in user AUC or pooled AUC than noise explains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, at least 2 (default: 3)")
    parser.add_argument("--models", nargs="+", choices=list(LIBRARY), default=list(LIBRARY))
    parser.add_argument("--learning-rate", type=float, help="of both (default: that of fedctr's cloud training)")
    parser.add_argument("--as-shipped", action="store_true", help="leave the library its own initial parameters")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error("--seeds must be at least 2: the noise is measured over them")
    training = CloudTraining(learning_rate=arguments.learning_rate or CloudTraining.learning_rate)
    torch.set_num_threads(1)

    dataset = open_dataset("movielens-100k")
    parts = split(dataset, Fractions())
    print("| model | metric | fedctr | DeepCTR-Torch | difference | 2 standard errors | over users and seeds (95 %) |")
    print("|---|---|---|---|---|---|---|")
    worse = []
    for name in arguments.models:
        seeds = range(arguments.seeds)
        mine = evaluate(dataset, parts, [ours(name, dataset, parts, training, seed) for seed in seeds])
        theirs = evaluate(
            dataset, parts, [library(name, dataset, parts, training, seed, arguments.as_shipped) for seed in seeds]
        )
        users = paired_difference(mine.auc_by_user - theirs.auc_by_user)
        print(table_row(name, "pooled AUC", mine.pooled_auc, theirs.pooled_auc, None))
        print(table_row(name, "user AUC", mine.user_auc, theirs.user_auc, users))
        print(table_row(name, "log loss", mine.log_loss, theirs.log_loss, None), flush=True)
        short = theirs.pooled_auc.mean() - mine.pooled_auc.mean()
        if users.high < 0 or short > 2 * standard_error(mine.pooled_auc, theirs.pooled_auc):
            worse.append(name)
    if worse:
        print(f"worse than the library by more than noise: {', '.join(worse)}", file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
