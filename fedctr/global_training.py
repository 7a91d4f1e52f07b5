"""How a global model was trained, as its ``published.json`` tells."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fedctr.folder import read_json


@dataclass(frozen=True)
class GlobalTraining:
    """What the global model of one seed came to on validation, step by step.

    Attributes:
        step: an ``epoch`` in the cloud, or a federated ``round``; whoever borrows a model keeps that of its maker.
        published: number of the step whose model is published.
        validation: number of each step to what was measured after it: epochs from 1 on, rounds from 0 on, which is the
            untrained model.
    """

    step: Literal["epoch", "round"]
    published: int
    validation: dict[int, dict[str, float]]

    @classmethod
    def of(cls, folder: Path) -> "GlobalTraining | None":
        """Read it from the folder of a published model; None where it is not kept."""
        facts = read_json(folder / "published.json")
        if not isinstance(facts, dict) or not facts.get("validation"):
            return None
        if "best_round" in facts:
            return cls("round", facts["best_round"], dict(enumerate(facts["validation"])))
        return cls("epoch", facts["best_epoch"], dict(enumerate(facts["validation"], 1)))
