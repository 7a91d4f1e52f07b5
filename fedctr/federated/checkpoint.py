"""What a federated training needs to go on after a round."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.numpy
import safetensors.torch
from torch import Tensor

from fedctr.errors import FedctrError
from fedctr.federated.aggregation import Arrays
from fedctr.judgement import Judge
from fedctr.protocol import falls_short

State = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of one seed's training after a round.

    Attributes:
        number: of the round; 0 before the first.
        model: the global model.
        best: the global model of the best round on validation so far; empty before the first.
        moments: what the aggregation remembers.
        curve: for each round up to this one what was counted and measured.
        replied: the clients that replied in this round.
    """

    number: int
    model: State
    best: State
    moments: Arrays
    curve: tuple[dict[str, Any], ...]
    replied: tuple[int, ...] = ()

    def best_row(self, by: Judge) -> dict[str, Any]:
        """The row of the curve whose round gave ``best``, at least one round having been done."""
        return min(self.curve[1:], key=lambda row: falls_short(row, by))

    def save(self, folder: Path) -> None:
        """Write it into a folder that does not exist yet."""
        folder.mkdir()
        safetensors.torch.save_file(self.model, folder / "model.safetensors")
        safetensors.torch.save_file(self.best, folder / "best.safetensors")
        safetensors.numpy.save_file(self.moments, folder / "moments.safetensors")
        text = {"round": self.number, "replied": self.replied, "curve": self.curve}
        (folder / "round.json").write_text(json.dumps(text, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Checkpoint":
        """Read what :meth:`save` wrote.

        Raises:
            FedctrError: when a file is missing or damaged.
        """
        try:
            text = json.loads((folder / "round.json").read_text())
            return cls(
                text["round"],
                safetensors.torch.load_file(folder / "model.safetensors"),
                safetensors.torch.load_file(folder / "best.safetensors"),
                safetensors.numpy.load_file(folder / "moments.safetensors"),
                tuple(text["curve"]),
                tuple(text["replied"]),
            )
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            reason = " ".join(str(error).split())
            raise FedctrError(f"{folder}: not a checkpoint ({reason}); delete the run folder to train again") from None
