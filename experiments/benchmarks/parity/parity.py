"""Our globally trained models against a library's of the same kind.

Trains lr, wide-deep and din with fedctr and with DeepCTR-Torch (https://github.com/shenweichen/DeepCTR-Torch) on the
same MovieLens-100K split, features and budget, and prints a Markdown table of the test metrics of both. It exits with
an error if one of ours is worse by more than noise.
"""

import argparse
import contextlib
import io
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fedctr import metrics
from fedctr.cloud import CloudTraining, publish
from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset, Field, slices
from fedctr.data.split import Fractions, Part, Split, split
from fedctr.features import Features, Histories
from fedctr.models.din import DIN
from fedctr.models.model import Model
from fedctr.models.wide_deep import WideDeep
from fedctr.statistics import Interval, paired_difference

# When imported, the library looks for a newer version of itself on the network, which a benchmark should not.
sys.modules["deepctr_torch.utils"] = types.SimpleNamespace(check_version=lambda version: None)  # type: ignore[assignment]
from deepctr_torch import models as library_models  # noqa: E402
from deepctr_torch.callbacks import EarlyStopping  # noqa: E402
from deepctr_torch.inputs import SparseFeat, VarLenSparseFeat  # noqa: E402

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Columns = list[SparseFeat | VarLenSparseFeat]


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
    """The coded features of some rows, as DeepCTR-Torch wants them: one array for each column."""
    owner = np.repeat(np.arange(dataset.users), np.diff(dataset.offsets))[rows]
    past = Histories.build(dataset, parts, range(dataset.users), history).of(rows)
    clicks = np.where(past >= 0, dataset.item[past] + 1, 0)
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


def all_columns(dataset: Dataset, embedding: int, history: int) -> Columns:
    """User, item and history."""
    return [column(field, embedding) for field in fields(dataset)] + [
        history_column(field, embedding, history) for field in dataset.schema.item_fields
    ]


def library_lr(dataset: Dataset, seed: int) -> Any:
    """Wide & Deep without the deep part."""
    return library_models.WDL([column(field, 1) for field in fields(dataset)], [], l2_reg_linear=0, seed=seed)


def library_wide_deep(dataset: Dataset, seed: int) -> Any:
    """As wide-deep."""
    options = defaults(WideDeep)
    return library_models.WDL(
        [column(field, 1) for field in fields(dataset)],
        all_columns(dataset, options["embedding"], options["history"]),
        dnn_hidden_units=options["hidden"],
        l2_reg_linear=0,
        l2_reg_embedding=0,
        seed=seed,
    )


def library_din(dataset: Dataset, seed: int) -> Any:
    """As din, but that it attends by item and year only, genres of the history being averaged."""
    options = defaults(DIN)
    return library_models.DIN(
        all_columns(dataset, options["embedding"], options["history"]),
        [field.name for field in dataset.schema.item_fields if field.values == 1],
        dnn_hidden_units=options["hidden"],
        att_hidden_size=(options["attention"],),
        att_activation="relu",
        l2_reg_embedding=0,
        seed=seed,
    )


LIBRARY: dict[str, Callable[[Dataset, int], Any]] = {
    "lr": library_lr,
    "wide-deep": library_wide_deep,
    "din": library_din,
}


def defaults(model: type[Model]) -> dict[str, Any]:
    """The options of our model."""
    return dict(model.__init__.__kwdefaults__ or {})


def start_as_ours(model: torch.nn.Module) -> None:
    """Draw initial parameters from our distributions; the library's are so small that its training starts late."""
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            torch.nn.init.normal_(module.weight, std=0.01)
        elif isinstance(module, torch.nn.Linear):
            torch.nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)


def library(name: str, dataset: Dataset, parts: Split, training: CloudTraining, seed: int, as_shipped: bool) -> Floats:
    """Logits of the test part by the library's model."""
    model = LIBRARY[name](dataset, seed)
    if not as_shipped:
        start_as_ours(model)
    history = defaults(DIN)["history"]
    # The library sums the loss over a batch where we average, so that the same decay is that many times larger.
    decay = training.weight_decay * training.batch_size
    adam = torch.optim.Adam(model.parameters(), lr=training.learning_rate, weight_decay=decay)
    model.compile(adam, "binary_crossentropy", metrics=["binary_crossentropy"])
    stopping = EarlyStopping(
        "val_binary_crossentropy", patience=training.patience, mode="min", restore_best_weights=True
    )
    train, validation = rows_of(parts, "train"), rows_of(parts, "validation")
    with contextlib.redirect_stdout(io.StringIO()):
        model.fit(
            inputs(dataset, parts, train, history),
            dataset.label[train].astype(np.float32),
            batch_size=training.batch_size,
            epochs=training.epochs,
            verbose=0,
            validation_data=(inputs(dataset, parts, validation, history), dataset.label[validation]),
            callbacks=[stopping],
        )
    model.load_state_dict(stopping.best_weights)  # the library restores them only when it stopped early
    chances = model.predict(inputs(dataset, parts, rows_of(parts, "test"), history), 8192)[:, 0].clip(1e-7, 1 - 1e-7)
    logits: Floats = np.log(chances / (1 - chances))
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
