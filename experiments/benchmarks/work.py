"""What every competitor needs besides its own library: the shared work, the metric, and the form of a result."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

WARM_UP_USERS = 32  # computed once before the clock starts, by every competitor

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Part:
    """Samples of all users, user after user; user ``u`` owns the rows ``offsets[u]:offsets[u + 1]``.

    Attributes:
        offsets: int64 (users + 1,).
        item: int64 (samples,), rows of ``item_codes``.
        history: int64 (samples, length), rows of ``item_codes``, padded with 0; of length 0 for a model without.
        label: float32 (samples,), 1 for a click.
    """

    offsets: Integers
    item: Integers
    history: Integers
    label: Floats

    def of(self, user: int) -> slice:
        """Rows of one user."""
        return slice(int(self.offsets[user]), int(self.offsets[user + 1]))


@dataclass(frozen=True, eq=False)
class Work:
    """Fine-tune the published model on every user's training part, then rank its test part.

    Attributes:
        model: its name.
        user_codes: int64 (users, columns), the features of every user that the model reads.
        item_codes: int64 (items + 1, columns), the features of every item; row 0 is "nothing here". In a field of
            several columns, such as genres, 0 pads, and the field is the mean of the values present.
        user_fields: first column of every field and the one after its last, by the field's name.
        item_fields: likewise.
        train: samples to fine-tune on.
        test: samples to rank.
        orders: int64 (training samples,) for each epoch: the order to take a user's training samples in, as
            positions in its training part.
        parameters: of the published model. Tables are ``embedding.FIELD.weight``, and ``wide.FIELD.weight`` where a
            value has a single weight; row 0 of a table is zero and must remain so. Layers are ``mlp.N.weight`` and
            ``mlp.N.bias``. Their first one reads the fields of the user, the item and, if the model has one, the
            history; for ``pnn`` the products of pairs of these then, of the first with all others, and so on. Further
            layers are ``cross.N`` and ``crossed`` for ``dcn-v2``, ``attend.N`` for ``autoint``, with queries, keys,
            values and residuals of all heads one below the other; ``attend_item``, ``attend_click``,
            ``attend_product`` and ``attention`` for ``din``; ``attend`` for ``dien``, and ``read``, ``gate`` and
            ``renew`` of each of its recurrent units ``extract`` and ``evolve``. ``lr`` and ``fm`` have a ``bias``.
        heads: of the layers ``attend.N``; 0 for a model without.
        batch_size: samples in a step.
        learning_rate: step size of plain SGD on the mean log loss of a batch.
    """

    model: str
    user_codes: Integers
    item_codes: Integers
    user_fields: dict[str, tuple[int, int]]
    item_fields: dict[str, tuple[int, int]]
    train: Part
    test: Part
    orders: list[Integers]
    parameters: dict[str, Floats]
    heads: int
    batch_size: int
    learning_rate: float

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.user_codes)

    def training_rows(self, user: int) -> Iterator[Integers]:
        """Rows of ``train`` that make up each batch of one user's fine-tuning, all epochs, in order."""
        own = self.train.of(user)
        for order in self.orders:
            shuffled = own.start + order[own]
            for first in range(0, len(shuffled), self.batch_size):
                yield shuffled[first : first + self.batch_size]

    @classmethod
    def read(cls, folder: Path) -> "Work":
        """Read what workload.py wrote."""
        facts = json.loads((folder / "work.json").read_text(encoding="utf-8"))
        with np.load(folder / "samples.npz") as file:
            arrays = dict(file)
        with np.load(folder / "parameters.npz") as file:
            parameters = dict(file)

        def part(name: str) -> Part:
            return Part(*(arrays[f"{name}_{column}"] for column in ("offsets", "item", "history", "label")))

        return cls(
            model=facts["model"],
            user_codes=arrays["user_codes"],
            item_codes=arrays["item_codes"],
            user_fields={name: (first, stop) for name, (first, stop) in facts["user_fields"].items()},
            item_fields={name: (first, stop) for name, (first, stop) in facts["item_fields"].items()},
            train=part("train"),
            test=part("test"),
            orders=[arrays[f"order_{epoch}"] for epoch in range(1, facts["epochs"] + 1)],
            parameters=parameters,
            heads=facts["heads"],
            batch_size=facts["batch_size"],
            learning_rate=facts["learning_rate"],
        )


def auc(scores: Floats, labels: Floats) -> float:
    """Share of (positive, negative) pairs in the right order, ties counting one half; NaN if there is no pair."""
    positives, negatives = scores[labels > 0], np.sort(scores[labels == 0])
    if not len(positives) or not len(negatives):
        return float("nan")
    below = np.searchsorted(negatives, positives, "left") + np.searchsorted(negatives, positives, "right")
    return float(below.mean() / 2 / len(negatives))


class Clock:
    """Runs from its making; the CPU time is that of this process alone."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Wall and CPU seconds so far."""
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


def write_result(
    folder: Path, aucs: npt.ArrayLike, seconds: float, cores: int, packages: Iterable[str], **more: float
) -> None:
    """Write what a competitor found.

    Args:
        folder: gets ``auc.npy`` and ``result.json``.
        aucs: of all users, in order; NaN for those of one class.
        seconds: what it took to fine-tune, score and measure them.
        cores: how many were used.
        packages: whose versions to note.
        more: further facts for ``result.json``: ``cpu_seconds`` where all work is done in one process, and
            ``startup_seconds`` where there is a cluster to start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    array = np.asarray(aucs, dtype=np.float64)
    np.save(folder / "auc.npy", array)
    versions = {package: version(package) for package in packages}
    result = {"seconds": seconds, "users": len(array), "cores": cores, "versions": versions, **more}
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
