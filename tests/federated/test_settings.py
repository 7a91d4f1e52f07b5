from pathlib import Path

import pytest

from fedctr.config import Experiment
from fedctr.data.split import Fractions
from fedctr.errors import FedctrError
from fedctr.federated.participation import Participation
from fedctr.federated.privacy import Privacy
from fedctr.federated.settings import Training

EVERY_KEY = """
dataset = "synthetic[users=50]"
path = "files.zip"
on_bad_row = "skip"
model = "lr"
aggregation = "fedprox[proximal_mu=0.5]"
averaging = "holders"
strategy = "label-correction"
rounds = 7
learning_rate = 0.3
epochs = 3
batch_size = 16
users_per_round = 0.5
dropout = 0.1
stragglers = 0.2
personal = ["bias"]
alternate = true
best_by = "auc"
beside_cloud = true
seeds = 2
partitions = 8
backend = "inline"
ray_address = "10.0.0.1:6379"
round_seconds = 60.0
out = "runs/here"

[split]
window = "earlier"
"""
PRIVATE = "privacy = {noise_multiplier = 0.5, clipping_norm = 1.5}"


def of(text: str, tmp_path: Path) -> Training:
    file = tmp_path / "training.toml"
    file.write_text(text)
    return Training.of(Experiment.read(file), file.name)


def test_every_key_is_read_from_toml_and_written_again(tmp_path: Path) -> None:
    read, private, default = of(EVERY_KEY, tmp_path), of(PRIVATE, tmp_path), Training()
    given = {key for key in Training.model_fields if getattr(read, key) != getattr(default, key)}
    assert given == Training.model_fields.keys() - {"privacy"}
    assert read.split == Fractions(window="earlier")
    assert private == Training(privacy=Privacy(0.5, 1.5))
    assert read.participation == Participation(share=0.5, dropout=0.1, stragglers=0.2)
    for training in (read, private, default):
        assert of(training.to_toml(), tmp_path) == training.model_copy(update={"split": training.rule})


@pytest.mark.parametrize("given", [["deep.*", "bias"], "deep.*,bias", " deep.* , bias,"])
def test_personal_parameters_are_a_list_or_separated_by_commas(given: object) -> None:
    assert Training.of({"personal": given}).personal == ("deep.*", "bias")


def test_partitions_are_science_only_where_clients_are_compared() -> None:
    logistics = {"path", "partitions", "backend", "ray_address", "round_seconds", "beside_cloud", "out"}
    assert Training.model_fields.keys() - Training().science().keys() == logistics
    assert Training(aggregation="krum").science()["partitions"] == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("round = 5", "unknown key 'round'; did you mean rounds or "),
        ("privacy = {noise_multiplier = 1, clipping_norm = 1, clip = 1}", "unknown key 'privacy.clip'; did "),
        ("split.tests = 0.1", "unknown key 'split.tests'; did you mean test?"),
        ("rounds = 0", "rounds: Input should be greater than or equal to 1, found 0"),
        ("users_per_round = 0", "users_per_round: Input should be greater than 0, found 0"),
        ("users_per_round = 1.5", "users_per_round: Input should be less than or equal to 1, found 1.5"),
        ("dropout = 1.0", "dropout: Input should be less than 1, found 1.0"),
        ("learning_rate = nan", "learning_rate: Input should be a finite number, found nan"),
        ("aggregation = 'fedavgg'", "unknown aggregation 'fedavgg'; did you mean fedavg"),
        ("stragglers = 0.5", "stragglers: a slow user gets through one epoch only; give epochs at least 2"),
        ("aggregation = 'per-fedavg'", "aggregation per-fedavg: users adapt for all epochs but the last; give epochs "),
        ("alternate = true", "alternate: there is nothing to alternate with; name the personal parameters"),
        ("aggregation = 'krum'\nprivacy = {noise_multiplier = 1, clipping_norm = 1}", "privacy: its noise is mea"),
        ("personal = ['bias']\nprivacy = {noise_multiplier = 1, clipping_norm = 1}", "privacy: the mean of personal "),
        ("averaging = 'holders'\nprivacy = {noise_multiplier = 1, clipping_norm = 1}", "privacy: its noise is meant"),
        ("averaging = 'holder'", "averaging: Input should be 'users' or 'holders', found 'holder'"),
        ("aggregation = 'krum'\npartitions = 2", "partitions: krum needs at least 3, which are 3 and 2"),
        ("aggregation = 'krum[num_malicious_nodes=1]'", "partitions: krum[num_malicious_nodes=1] needs at least 5, wh"),
        ("privacy = {noise_multiplier = -1, clipping_norm = 1}", "privacy: noise_multiplier -1.0 must be a number of "),
        ("privacy = {noise_multiplier = 1, clipping_norm = 0}", "privacy: clipping_norm 0.0 must be a number above 0"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_key_and_value(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FedctrError) as caught:
        of(text, tmp_path)
    said = str(caught.value)
    assert said.startswith(f"training.toml: {message}")
    assert "\n" not in said
