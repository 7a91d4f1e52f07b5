"""What the server publishes: the globally trained model and the global CTR."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from fedctr.data.dataset import Schema
from fedctr.errors import FedctrError
from fedctr.models.model import Model, models


@dataclass(frozen=True, eq=False)
class Published:
    """A trained model with all that a client needs to fine-tune and score it.

    Attributes:
        spec: the model as people type it, such as ``din[embedding=16]``.
        schema: fields that the model was built for.
        model: the trained model; nobody changes its parameters in place.
        global_ctr: share of positives in all users' training samples.
    """

    spec: str
    schema: Schema
    model: Model
    global_ctr: float

    @classmethod
    def from_state(cls, spec: str, schema: Schema, global_ctr: float, state: dict[str, Tensor]) -> "Published":
        """Rebuild the model from its parameters."""
        model = models.create(spec, schema)
        model.load_state_dict(state)
        return cls(spec, schema, model, global_ctr)

    def save(self, folder: Path, facts: dict[str, Any]) -> None:
        """Write ``model.safetensors`` and ``published.json`` (with further facts on the training) into a folder."""
        safetensors.torch.save_file(self.model.state_dict(), folder / "model.safetensors")
        text = {**facts, "model": self.spec, "global_ctr": self.global_ctr, "schema": asdict(self.schema)}
        (folder / "published.json").write_text(json.dumps(text, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> tuple["Published", dict[str, Any]]:
        """Read what :meth:`save` wrote: the published model and all that ``published.json`` says.

        Raises:
            FedctrError: when a file is missing or damaged.
        """
        try:
            text = json.loads((folder / "published.json").read_text())
            state = safetensors.torch.load_file(folder / "model.safetensors")
            published = cls.from_state(text["model"], Schema.from_json(text["schema"]), text["global_ctr"], state)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
            reason = " ".join(str(error).split())
            raise FedctrError(
                f"{folder}: not a published model ({reason}); delete the folder to train it again"
            ) from None
        return published, text
