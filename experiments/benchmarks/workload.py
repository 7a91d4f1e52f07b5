"""Writes the work that every competitor does: MovieLens-100K, its split, and the published model, as plain arrays.

python workload.py FOLDER

Needs fedctr; those who read the folder do not (see work.py for what it holds).
"""

import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedctr.cloud import CloudTraining, publish
from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset, Field, slices
from fedctr.data.split import Fractions, Part, Split, split
from fedctr.features import Histories
from fedctr.models.model import Model
from fedctr.published import Published
from fedctr.randomness import permutations

DATASET = "movielens-100k"
MODEL = "wide-deep"
SEED = 0
LEARNING_RATE = 0.03
EPOCHS = 1
BATCH_SIZE = 32
SETTINGS = {
    "dataset": DATASET,
    "model": MODEL,
    "seed": SEED,
    "learning_rate": LEARNING_RATE,
    "epochs": EPOCHS,
    "batch_size": BATCH_SIZE,
}

Arrays = dict[str, npt.NDArray[np.generic]]


def dataset_and_split() -> tuple[Dataset, Split]:
    """The data set, and the parts of every user."""
    dataset = open_dataset(DATASET)
    return dataset, split(dataset, Fractions())


def published_model(dataset: Dataset) -> Published:
    """The globally trained model, from fedctr's cache if it was trained before."""
    published, _ = publish(MODEL, dataset, Fractions(), CloudTraining(), SEED, lambda epoch, loss: None)
    return published


def neutral_parameters(model: Model) -> Arrays:
    """The model's parameters under the names of work.py. Nothing else here depends on how fedctr names them."""
    renamed = (
        ("wide_user.tables.", "wide."),
        ("wide_item.tables.", "wide."),
        ("user.tables.", "embedding."),
        ("item.tables.", "embedding."),
        ("deep.layers.0.", "mlp.0."),
        ("deep.layers.1.", "mlp.2."),
        ("deep.layers.2.", "mlp.4."),
    )
    state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    # The first layer keeps the weights for the user apart; it reads user, item, history in this order.
    state["deep.layers.0.weight"] = np.hstack([state.pop("deep.constant.weight"), state["deep.layers.0.weight"]])
    parameters: Arrays = {}
    for name, values in state.items():
        old, new = next(pair for pair in renamed if name.startswith(pair[0]))
        parameters[new + name.removeprefix(old)] = values
        if not new.startswith("mlp."):
            values[0] = 0  # code 0 is "nothing here" and counts as zero, whatever stands in its row
    return parameters


def part_arrays(dataset: Dataset, parts: Split, histories: Histories, part: Part) -> Arrays:
    """Items, histories and labels of one part, user after user; items count from 1, and 0 pads."""
    starts, stops = parts.bounds(part)
    rows = np.concatenate([np.arange(start, stop) for start, stop in zip(starts, stops, strict=True)])
    clicks = histories.of(rows)
    return {
        f"{part}_offsets": np.concatenate([[0], np.cumsum(stops - starts)]),
        f"{part}_item": dataset.item[rows].astype(np.int64) + 1,
        f"{part}_history": np.where(clicks >= 0, dataset.item[clicks].astype(np.int64) + 1, 0),
        f"{part}_label": dataset.label[rows].astype(np.float32),
    }


def shuffles(parts: Split, epoch: int) -> npt.NDArray[np.int64]:
    """The order that each user's training samples take in one epoch, as positions in its training part."""
    starts, stops = parts.bounds("train")
    counts = stops - starts
    mask = np.arange(counts.max()) < counts[:, None]
    order = permutations(SEED, f"shuffle {epoch}", np.arange(len(counts)), mask)
    return order[mask].astype(np.int64)  # a user's own samples come first in its row


def columns(fields: tuple[Field, ...]) -> dict[str, list[int]]:
    """First column of every field, and the one after its last."""
    return {field.name: [where.start, where.stop] for field, where in slices(fields)}


def write(folder: Path) -> None:
    """Write all of it into a folder."""
    dataset, parts = dataset_and_split()
    model = published_model(dataset).model
    histories = Histories.build(dataset, parts, range(dataset.users), model.history_length)
    user_fields = dataset.schema.user_fields
    arrays: Arrays = {
        "user_codes": dataset.user_codes[:, user_fields[0].values :].astype(np.int64),  # the model reads no user id
        "item_codes": dataset.described.astype(np.int64),
        **part_arrays(dataset, parts, histories, "train"),
        **part_arrays(dataset, parts, histories, "test"),
        **{f"order_{epoch}": shuffles(parts, epoch) for epoch in range(1, EPOCHS + 1)},
    }
    facts = {
        **SETTINGS,
        "user_fields": columns(user_fields[1:]),
        "item_fields": columns(dataset.schema.item_fields),
    }
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "samples.npz", allow_pickle=False, **arrays)
    np.savez(folder / "parameters.npz", allow_pickle=False, **neutral_parameters(model))
    (folder / "work.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def is_current(folder: Path) -> bool:
    """Whether a folder holds the settings and the published model that would be written now."""
    facts = json.loads((folder / "work.json").read_text(encoding="utf-8"))
    dataset, _ = dataset_and_split()
    parameters = neutral_parameters(published_model(dataset).model)
    with np.load(folder / "parameters.npz") as written:
        return facts.items() >= SETTINGS.items() and all(
            np.array_equal(written[name], values) for name, values in parameters.items()
        )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
