from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fedctr.conformance.model import STRATEGIES, check
from fedctr.data.dataset import Schema
from fedctr.errors import FedctrError
from fedctr.models.batch import Batch
from fedctr.models.lr import LR


def faults(spec: str) -> dict[str, str]:
    return {finding.rule: finding.fault for finding in check(spec) if finding.fault}


def planted(cls: type[LR]) -> dict[str, str]:
    return faults(f"{__name__}:{cls.__name__}")


def fault(cls: type[LR], rule: str, options: str = "") -> str:
    """What a rule finds amiss; those that come after it are not tried."""
    return next(finding.fault for finding in check(f"{__name__}:{cls.__name__}{options}") if finding.rule == rule)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["lr", "dcn-v2", "din"])
def test_models_of_the_shelf_keep_the_contract(name: str) -> None:
    """Those without and with an MLP and a history; tests/models asks more of each of them."""
    assert faults(name) == {}


def test_every_rule_is_tried_after_each_strategy() -> None:
    rules = [finding.rule for finding in check("lr[user_id=true]")]
    assert len(rules) == len(set(rules)) == 16 + 7 * len(STRATEGIES)
    assert "treats each user as if it were alone, to the bit (fine-tuning)" in rules


def test_an_unknown_option_is_the_users_mistake() -> None:
    with pytest.raises(FedctrError, match="model lr has no option 'colour'"):
        list(check("lr[colour=1]"))


class Nothing(LR):
    """Its options are refused."""

    def __init__(self, schema: Schema, *, size: int = 0) -> None:
        raise ValueError(f"size is {size}")


def test_a_model_that_cannot_be_built() -> None:
    ((rule, found),) = planted(Nothing).items()
    assert rule == "is built for a data set"
    assert found.endswith("size is 0")


class Greedy(LR):
    def __init__(self, schema: Schema, size: int) -> None:
        super().__init__(schema)


class Open(LR):
    """Takes anything."""

    def __init__(self, schema: Schema, **more: int) -> None:
        super().__init__(schema)


def test_it_is_described_and_names_its_options() -> None:
    assert fault(Greedy, "says in its docstring what it is", "[size=1]") == "the class has no docstring"
    by_name = "takes its options by name, each with a default"
    assert fault(Greedy, by_name, "[size=1]").startswith("size has no default")
    assert "a misspelt option would not be refused" in fault(Open, by_name)


class Unseeded(LR):
    """Begins at random, but not by the seed."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.bias = nn.Parameter(torch.tensor([np.random.default_rng().random()]).float())


def test_the_same_seed_gives_the_same_model() -> None:
    assert "bias begins with other values each time" in fault(Unseeded, "is built alike from the same seed")


class Wide(LR):
    """Forgets to drop an axis."""

    def forward(self, batch: Batch) -> Tensor:
        return super().forward(batch).unsqueeze(-1)


class Exact(LR):
    """Of another type."""

    def forward(self, batch: Batch) -> Tensor:
        return super().forward(batch).double()


@pytest.mark.parametrize(("cls", "found"), [(Wide, "float32 (10, 24, 1)"), (Exact, "float64 (10, 24)")])
def test_a_logit_for_each_sample(cls: type[LR], found: str) -> None:
    broken = fault(cls, "gives a logit for each sample, float32 (users, samples)")
    assert broken == f"forward returned {found}, expected (10, 24)"


class Undefined(LR):
    """Takes a root of what may be negative."""

    def forward(self, batch: Batch) -> Tensor:
        return super().forward(batch).sqrt()


class Constant(LR):
    """Says the same of everything."""

    def forward(self, batch: Batch) -> Tensor:
        return super().forward(batch) * 0


def test_logits_are_finite_and_tell_samples_apart() -> None:
    assert fault(Undefined, "gives finite logits") == "some are NaN or infinite"
    assert fault(Constant, "tells samples apart") == "all logits are the same"


class Dropping(LR):
    """Leaves things out at random while it is trained."""

    def forward(self, batch: Batch) -> Tensor:
        return nn.functional.dropout(super().forward(batch), 0.5, self.training)


def test_dropout_is_not_for_devices() -> None:
    broken = planted(Dropping)
    assert "does the same when it is run again" in broken
    assert "does the same in training and in evaluation" in broken
    assert "treats each user as if it were alone, to the bit (fine-tuning)" in broken


class Centred(LR):
    """Normalises over whatever it is shown."""

    def forward(self, batch: Batch) -> Tensor:
        logits = super().forward(batch)
        return logits - logits.mean()


class Rival(LR):
    """Compares a user with the others in its cohort."""

    def forward(self, batch: Batch) -> Tensor:
        logits = super().forward(batch)
        return logits - logits.mean(0)


def test_neither_another_sample_nor_another_user_may_matter() -> None:
    assert fault(Centred, "scores each sample as if it were alone")
    broken = planted(Rival)
    assert "scores each sample as if it were alone" not in broken
    assert "scores users together as one by one" in broken
    assert "agrees with the plain loop over users (proximal)" in broken


class Remembering(LR):
    """Goes on from the last batch."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.last = 0.0

    def forward(self, batch: Batch) -> Tensor:
        self.last += 1
        return super().forward(batch) + self.last


class Hidden(LR):
    """Keeps a number out of its state."""

    seen: ClassVar[int] = 0

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        Hidden.seen += 1
        self.own = Hidden.seen

    def forward(self, batch: Batch) -> Tensor:
        return super().forward(batch) + self.own


def test_it_keeps_nothing_but_its_parameters() -> None:
    assert fault(Remembering, "does the same when it is run again")
    assert fault(Hidden, "comes back from a file as it was").startswith("logits differ by up to 1")
    assert not fault(Hidden, "is the same as a deep copy")


class Idle(LR):
    """Has a parameter that nothing depends on."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.spare = nn.Parameter(torch.zeros(3))


def test_every_parameter_has_a_use() -> None:
    assert fault(Idle, "learns in every parameter").startswith("spare changes no logit")


class Picky(LR):
    """Takes it that users have a second field."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.group = schema.user_fields[1].name


def test_a_data_set_may_know_nothing_but_ids() -> None:
    assert "tuple index out of range" in fault(Picky, "serves a data set that knows nothing but ids")


class Shared(LR):
    """Built from PyTorch's own layers, whose weights cannot be stacked."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.scale = nn.Linear(1, 1)

    def forward(self, batch: Batch) -> Tensor:
        scaled: Tensor = self.scale(super().forward(batch).unsqueeze(-1))
        return scaled.squeeze(-1)


def test_layers_must_take_stacked_weights() -> None:
    broken = planted(Shared)
    assert set(broken) == {f"can be fine-tuned by {name}" for name in STRATEGIES}
