"""Writes the work that every competitor does: MovieLens-100K, its split, and the published model, as plain arrays.

python workload.py FOLDER [MODEL]

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
# The first is measured unless others are asked for.
MODELS = ("ncf", "wide-deep", "deepfm", "fm", "pnn", "dcn-v2", "autoint", "din", "dien", "lr")
SEED = 0
LEARNING_RATE = 0.03
EPOCHS = 1
BATCH_SIZE = 32
SETTINGS = {
    "dataset": DATASET,
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


def published_model(name: str, dataset: Dataset) -> Published:
    """A globally trained model, from fedctr's cache if it was trained before."""
    published, _ = publish(name, dataset, Fractions(), CloudTraining(), SEED, lambda epoch, loss: None)
    return published


def neutral_names(model: Model) -> dict[str, str]:
    """The name in work.py of each of the model's parameters. Nothing else here depends on how fedctr names them.

    Where two share a name, the columns of the first stand before those of the second.
    """
    tables = "wide." if model.name == "lr" else "embedding."
    renamed = (
        ("wide_user.tables.", "wide."),
        ("wide_item.tables.", "wide."),
        ("first_user.tables.", "wide."),
        ("first_item.tables.", "wide."),
        ("user.tables.", tables),
        ("item.tables.", tables),
        # A first layer may keep the weights for the user apart, which it reads first.
        ("deep.constant.", "mlp.0."),
        ("cross.0.constant.", "cross.0."),
        *((f"deep.layers.{index}.", f"mlp.{2 * index}.") for index in range(3)),
        ("cross.0.layers.0.", "cross.0."),
        ("layers.", "attend."),
    )
    names = sorted(model.state_dict(), key=lambda name: ".constant." not in name)
    found = {name: next((pair for pair in renamed if name.startswith(pair[0])), ("", "")) for name in names}
    return {name: new + name.removeprefix(old) for name, (old, new) in found.items()}


def neutral_parameters(model: Model) -> Arrays:
    """The model's parameters under the names of work.py."""
    parameters: Arrays = {}
    for name, new in neutral_names(model).items():
        values = model.state_dict()[name].numpy().copy()
        if new.startswith(("wide.", "embedding.")):
            values[0] = 0  # code 0 is "nothing here" and counts as zero, whatever stands in its row
        parameters[new] = np.hstack([parameters[new], values]) if new in parameters else values
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


def read_columns(
    codes: npt.NDArray[np.integer], fields: tuple[Field, ...], read: set[str]
) -> tuple[npt.NDArray[np.int64], dict[str, list[int]]]:
    """The columns of the fields that a model reads: the codes, and each field's first column and one after its last."""
    chosen = [(field, codes[:, where]) for field, where in slices(fields) if field.name in read]
    bounds = np.cumsum([0, *(values.shape[1] for _, values in chosen)]).tolist()
    found = np.hstack([values for _, values in chosen]).astype(np.int64)
    return found, {field.name: bounds[index : index + 2] for index, (field, _) in enumerate(chosen)}


def write(folder: Path, name: str) -> None:
    """Write all of the work with one model into a folder."""
    dataset, parts = dataset_and_split()
    write_work(folder, dataset, parts, published_model(name, dataset).model)


def write_work(folder: Path, dataset: Dataset, parts: Split, model: Model) -> None:
    """The same with other data."""
    histories = Histories.build(dataset, parts, range(dataset.users), model.history_length)
    user_read, item_read = ({field for side, field in model.reads if side == wanted} for wanted in ("user", "item"))
    user_codes, user_fields = read_columns(dataset.user_codes, dataset.schema.user_fields, user_read)
    item_codes, item_fields = read_columns(dataset.described, dataset.schema.item_fields, item_read)
    arrays: Arrays = {
        "user_codes": user_codes,
        "item_codes": item_codes,
        **part_arrays(dataset, parts, histories, "train"),
        **part_arrays(dataset, parts, histories, "test"),
        **{f"order_{epoch}": shuffles(parts, epoch) for epoch in range(1, EPOCHS + 1)},
    }
    facts = {
        **SETTINGS,
        "model": model.name,
        "user_fields": user_fields,
        "item_fields": item_fields,
        "heads": getattr(model, "heads", 0),
    }
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "samples.npz", allow_pickle=False, **arrays)
    np.savez(folder / "parameters.npz", allow_pickle=False, **neutral_parameters(model))
    (folder / "work.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def model_in(folder: Path) -> str | None:
    """The model of the work in a folder; None if other settings or parameters would be written now."""
    facts = json.loads((folder / "work.json").read_text(encoding="utf-8"))
    name: str = facts["model"]
    if not facts.items() >= SETTINGS.items():
        return None
    parameters = neutral_parameters(published_model(name, dataset_and_split()[0]).model)
    with np.load(folder / "parameters.npz") as written:
        same = all(np.array_equal(written[key], values) for key, values in parameters.items())
    return name if same else None


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else MODELS[0])
