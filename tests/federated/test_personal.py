from pathlib import Path

import numpy as np
import pytest
import torch

from fedctr.errors import FedctrError
from fedctr.federated.personal import PersonalFile, personal_of
from fedctr.models.model import models
from tests.engine import world

MODEL = models.create("wide-deep[hidden=[4],history=5]", world([1]).schema)
NAMES = ("deep.layers.1.weight", "deep.layers.1.bias")


@pytest.fixture
def file(tmp_path: Path) -> PersonalFile:
    """Five users who have nothing of their own yet."""
    begun = PersonalFile.of(tmp_path / "seed-0.npy", NAMES, MODEL)
    begun.begin(5, MODEL.state_dict(), begun.file)
    return begun


def test_patterns_name_parameters_in_the_models_order() -> None:
    assert personal_of(["*.bias", "deep.layers.1.*"], MODEL, "") == ("deep.layers.0.bias", *NAMES)
    assert personal_of([], MODEL, "") == ()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("head", "personal: 'head' is none of the parameters of wide-deep: wide_user.tables.group.weight, wide_item"),
        ("*", "personal: all parameters of wide-deep would stay on the devices; leave some to be shared"),
    ],
)
def test_a_pattern_that_will_not_do(pattern: str, message: str) -> None:
    with pytest.raises(FedctrError) as caught:
        personal_of([pattern], MODEL, "wide-deep")
    assert str(caught.value).startswith(message)


def test_everybody_begins_with_the_models_values(file: PersonalFile) -> None:
    found = file.read(np.array([4, 0]))
    for name in NAMES:
        assert torch.equal(found[name], MODEL.state_dict()[name].expand(2, *MODEL.state_dict()[name].shape))


def test_what_clients_leave_is_taken_in_once_the_round_is_over(file: PersonalFile) -> None:
    before = file.file.read_bytes()
    rows = {users: np.full((len(users), 5), 1.0 + users[0], dtype=np.float32) for users in ((0, 1), (3,))}
    for client, users in enumerate(rows):
        file.leave(2, client, np.array(users), rows[users])
    assert file.file.read_bytes() == before
    file.take_in(2, [0])  # the other one did not reply in time
    values = np.load(file.file)
    assert values[:, 0].tolist()[:2] == [1.0, 1.0]
    assert np.array_equal(values[3], np.load(file.file)[4])
    after = file.file.read_bytes()
    file.take_in(2, [0, 1])  # as after a kill; nothing is left of the round
    assert file.file.read_bytes() == after
    assert [child.name for child in file.file.parent.iterdir()] == ["seed-0.npy"]


def test_what_is_left_of_another_round_is_never_taken_in(file: PersonalFile) -> None:
    before = file.file.read_bytes()
    file.leave(3, 0, np.array([1]), np.zeros((1, 5), dtype=np.float32))
    file.take_in(2, [0])
    assert file.file.read_bytes() == before


def test_rows_are_what_was_read(file: PersonalFile) -> None:
    values = file.read(np.arange(5))
    assert np.array_equal(file.rows(values), np.load(file.file))
