import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fedctr.errors import FedctrError
from fedctr.features import Features
from fedctr.published import Published
from tests.engine import cut, publish, world

DATASET = world([6, 7])
FEATURES = Features(DATASET, cut(DATASET, [4, 5]), range(2), 5)
SPECS = (
    "lr",
    "lr[user_id=true]",
    "wide-deep[embedding=5,hidden=[13,7],history=5]",
    "din[history=5]",
    "fm[history=5]",
    "deepfm[embedding=5,hidden=[13,7],history=5]",
    "pnn[embedding=5,hidden=[13,7],history=5]",
    "dcn-v2[cross=3,hidden=[13,7],history=5]",
    "autoint[layers=3,history=5]",
    "dien[history=5]",
)


def logits(published: Published) -> torch.Tensor:
    with torch.no_grad():
        return published.model(FEATURES.batch(np.arange(12).reshape(2, 6), np.array([[0], [1]])))  # type: ignore[no-any-return]


@pytest.mark.parametrize("spec", SPECS)
def test_what_is_saved_comes_back_to_the_bit(spec: str, tmp_path: Path) -> None:
    published = publish(spec, DATASET.schema, global_ctr=1 / 3)
    published.save(tmp_path, {"seed": 7, "validation": [{"auc": 0.5}]})
    again, facts = Published.load(tmp_path)
    assert (again.spec, again.schema, again.global_ctr) == (spec, DATASET.schema, 1 / 3)
    assert (facts["seed"], facts["validation"], facts["model"]) == (7, [{"auc": 0.5}], spec)
    assert torch.equal(logits(again), logits(published))
    assert again.model.history_length == published.model.history_length


@pytest.mark.parametrize("spec", SPECS)
def test_parameters_alone_rebuild_the_model(spec: str) -> None:
    published = publish(spec, DATASET.schema)
    again = Published.from_state(spec, DATASET.schema, 0.3, published.model.state_dict())
    assert torch.equal(logits(again), logits(published))
    assert again.model is not published.model


def test_facts_cannot_pose_as_what_was_published(tmp_path: Path) -> None:
    publish("lr", DATASET.schema, global_ctr=0.25).save(tmp_path, {"model": "din", "global_ctr": 9})
    again, _ = Published.load(tmp_path)
    assert (again.spec, again.global_ctr) == ("lr", 0.25)


def rewrite(change: Callable[[dict[str, object]], object]) -> Callable[[Path], object]:
    """Change what published.json says."""

    def damage(folder: Path) -> None:
        text = json.loads((folder / "published.json").read_text())
        (folder / "published.json").write_text(json.dumps(change(text)))

    return damage


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no published.json": lambda folder: (folder / "published.json").unlink(),
    "no model.safetensors": lambda folder: (folder / "model.safetensors").unlink(),
    "no JSON": lambda folder: (folder / "published.json").write_text('{"model": "lr"'),
    "no text": lambda folder: (folder / "published.json").write_bytes(b"\xff\xfe\xff"),
    "a list": rewrite(lambda text: [text]),
    "no schema": rewrite(lambda text: {key: value for key, value in text.items() if key != "schema"}),
    "an empty schema": rewrite(lambda text: text | {"schema": None}),
    "a field with another key": rewrite(lambda text: text | {"schema": {"user_fields": [{"a": 1}], "item_fields": []}}),
    "another model": rewrite(lambda text: text | {"model": "din"}),
    "cut short": lambda folder: (folder / "model.safetensors").write_bytes(
        (folder / "model.safetensors").read_bytes()[:-5]
    ),
    "emptied": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "other bytes": lambda folder: (folder / "model.safetensors").write_bytes(b"not a safetensors file at all"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_one_clear_line(damage: Callable[[Path], object], tmp_path: Path) -> None:
    folder = tmp_path / "lr-0123"
    folder.mkdir()
    publish("lr", DATASET.schema).save(folder, {})
    damage(folder)
    with pytest.raises(FedctrError, match=r"not a published model .*; delete the folder to train it again") as caught:
        Published.load(folder)
    assert str(caught.value).startswith(str(folder))
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_installed_is_named(tmp_path: Path) -> None:
    publish("lr", DATASET.schema).save(tmp_path, {})
    rewrite(lambda text: text | {"model": "lrr"})(tmp_path)
    with pytest.raises(FedctrError, match="unknown model 'lrr'; did you mean lr"):
        Published.load(tmp_path)
