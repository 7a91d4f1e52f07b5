from pathlib import Path
from typing import Any, ClassVar

import pytest

from fedctr.cloud import CloudTraining
from fedctr.config import Experiment
from fedctr.data.split import Days, Fractions, SplitRule
from fedctr.data.synthetic import Synthetic
from fedctr.errors import FedctrError
from fedctr.retention import Retention

EVERY_KEY = """
dataset = "synthetic[users=50]"
path = "files.zip"
on_bad_row = "skip"
model = "din[embedding=16]"
strategies = ["no-fine-tuning", "label-correction[variant=smoothed,strength=5]"]
seeds = 2
partitions = 8
backend = "inline"
ray_address = "10.0.0.1:6379"
device = "cuda"
published = "runs/there"
out = "runs/here"
learning_rates = [0.3, 0.03, 0.3]
epochs = [4, 2]
batch_size = 16
optimiser = "adam"

[local]
keep_positives = 0.5
keep_negatives = 0.25
most = 100

[split]
validation = 0.2
test = 0.3
window = "earlier"

[cloud]
learning_rate = 0.01
weight_decay = 0.0
batch_size = 64
epochs = 7
patience = 2
"""


def of(text: str, tmp_path: Path) -> Experiment:
    file = tmp_path / "experiment.toml"
    file.write_text(text)
    return Experiment.of(Experiment.read(file), file.name)


def test_every_key_is_read_from_toml(tmp_path: Path) -> None:
    read = of(EVERY_KEY, tmp_path)
    assert read == Experiment(
        dataset="synthetic[users=50]",
        path=Path("files.zip"),
        on_bad_row="skip",
        model="din[embedding=16]",
        strategies=("no-fine-tuning", "label-correction[variant=smoothed,strength=5]"),
        seeds=2,
        partitions=8,
        backend="inline",
        ray_address="10.0.0.1:6379",
        device="cuda",
        published=Path("runs/there"),
        out=Path("runs/here"),
        learning_rates=(0.03, 0.3),
        epochs=(2, 4),
        batch_size=16,
        optimiser="adam",
        local=Retention(keep_positives=0.5, keep_negatives=0.25, most=100),
        split=Fractions(validation=0.2, test=0.3, window="earlier"),
        cloud=CloudTraining(learning_rate=0.01, weight_decay=0.0, batch_size=64, epochs=7, patience=2),
    )
    default = Experiment()
    assert all(getattr(read, key) != getattr(default, key) for key in Experiment.model_fields)


def test_every_default_is_spelt_out_and_read_back(tmp_path: Path) -> None:
    for experiment in (Experiment(), of(EVERY_KEY, tmp_path)):
        assert of(experiment.to_toml(), tmp_path) == experiment.model_copy(update={"split": experiment.rule})
    absent = {key for key in Experiment.model_fields if f"{key} = " not in Experiment().to_toml()}
    # TOML has no null, and the last three are tables.
    assert absent == {"path", "ray_address", "out", "published", "local", "split", "cloud"}
    assert "[split]\nvalidation = 0.1\n" in Experiment().to_toml()


def test_a_file_in_another_language(tmp_path: Path) -> None:
    file = tmp_path / "größe.toml"
    file.write_bytes('out = "läufe/größe"'.encode())
    assert Experiment.read(file) == {"out": "läufe/größe"}


@pytest.mark.parametrize(
    "given",
    [
        ["fine-tuning", "label-correction[variant=smoothed,strength=5]"],
        "fine-tuning,label-correction[variant=smoothed,strength=5]",
        " fine-tuning , label-correction[variant=smoothed,strength=5],",
    ],
)
def test_strategies_are_a_list_or_separated_by_commas_outside_brackets(given: object) -> None:
    assert Experiment.of({"strategies": given}).strategies == (
        "fine-tuning",
        "label-correction[variant=smoothed,strength=5]",
    )


def test_science_leaves_out_exactly_what_changes_no_result(tmp_path: Path) -> None:
    logistics = {"path", "partitions", "backend", "ray_address", "out", "published"}
    assert Experiment.model_fields.keys() - Experiment().science().keys() == logistics
    science = of(EVERY_KEY, tmp_path).science()
    assert science["split"] == {"validation": 0.2, "test": 0.3, "window": "earlier", "unit": "shares"}
    assert science["local"] == {"keep_positives": 0.5, "keep_negatives": 0.25, "most": 100}
    assert science["strategies"] == ["no-fine-tuning", "label-correction[variant=smoothed,strength=5]"]


class Daily(Synthetic):
    """A data set whose authors split it by days."""

    split: ClassVar[SplitRule] = Days(hours_from_utc=8)


DAILY = f"{__name__}:Daily"


def test_a_split_is_of_days_or_of_shares_by_its_unit(tmp_path: Path) -> None:
    assert of("[split]\nunit = 'days'", tmp_path).split == Days()
    assert of("[split]\nunit = 'days'\ntest = 2\nhours_from_utc = 8", tmp_path).split == Days(test=2, hours_from_utc=8)
    assert of("[split]\nunit = 'shares'\ntest = 0.3", tmp_path).split == Fractions(test=0.3)
    assert of("[split]\ntest = 0.3", tmp_path).split == Fractions(test=0.3)
    assert of("[split]", tmp_path).split == Fractions()
    assert Experiment(split=Days(test=3)).split == Days(test=3)


def test_without_a_split_the_data_set_says_how_it_is_split(tmp_path: Path) -> None:
    assert Experiment().split is None
    assert Experiment().rule == Fractions()
    assert Experiment(dataset=DAILY).rule == Days(hours_from_utc=8)
    assert Experiment(dataset=DAILY, split=Fractions()).rule == Fractions()
    assert Experiment(dataset=DAILY).science()["split"] == {
        "validation": 1, "test": 1, "window": "later", "hours_from_utc": 8, "unit": "days"
    }  # fmt: skip
    assert of(Experiment(dataset=DAILY).to_toml(), tmp_path).split == Days(hours_from_utc=8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modell = 'x'", "unknown key 'modell'; did you mean model?"),
        ("zzz = 1", "unknown key 'zzz'; known keys: dataset, path, on_bad_row, model, strategies, seeds, partitions, "),
        ("split.tests = 0.1", "unknown key 'split.tests'; did you mean test? known keys: validation, test, "
         'window, unit, or with unit = "days": validation, test, window, hours_from_utc, unit'),
        ("split.unit = 'days'\nsplit.tests = 1", "unknown key 'split.tests'; did you mean test? known keys: val"),
        ("split.hours_from_utc = 8", "unknown key 'split.hours_from_utc'; known keys: validation, test, window, unit, "
         'or with unit = "days": validation, test, window, hours_from_utc, unit'),
        ("split.zzz = 8", "unknown key 'split.zzz'; known keys: validation, test, window, unit, or with unit = "),
        ("local.keep_positive = 1", "unknown key 'local.keep_positive'; did you mean keep_positives or keep_nega"),
        ("local.zzz = 1", "unknown key 'local.zzz'; known keys: keep_positives, keep_negatives, most"),
        ("cloud.epoch = 1", "unknown key 'cloud.epoch'; did you mean epochs?"),
        ("cloud.zzz = 1", "unknown key 'cloud.zzz'; known keys: learning_rate, weight_decay, batch_size, epochs, pati"),
        ("dataset = 3", "dataset: Input should be a valid string, found 3"),
        ("seeds = 'three'", "seeds: Input should be a valid integer, found 'three'"),
        ("seeds = true", "seeds: Input should be a valid integer, found True"),
        ("seeds = 2.5", "seeds: Input should be a valid integer, found 2.5"),
        ("seeds = 0", "seeds: Input should be greater than or equal to 1, found 0"),
        ("partitions = -1", "partitions: Input should be greater than or equal to 1, found -1"),
        ("backend = 'rya'", "backend: Input should be 'ray' or 'inline', found 'rya'"),
        ("device = 'tpu'", "device: Input should be 'cpu' or 'cuda', found 'tpu'"),
        ("strategies = [1]", "strategies.0: Input should be a valid string, found 1"),
        ("strategies = []", "strategies: name at least one strategy"),
        ("strategies = ''", "strategies: name at least one strategy"),
        ("strategies = 'pairwise,pairwise'", "strategies: pairwise is listed twice"),
        ("learning_rates = []", "learning_rates: Tuple should have at least 1 item"),
        ("learning_rates = [0.1, 'x']", "learning_rates.1: Input should be a valid number, found 'x'"),
        ("learning_rates = [nan]", "learning_rates: every learning rate must be a number above 0"),
        ("learning_rates = [0.1, inf]", "learning_rates: every learning rate must be a number above 0"),
        ("learning_rates = [0]", "learning_rates: every learning rate must be a number above 0"),
        ("epochs = [3, 0]", "epochs: every number of epochs must be at least 1"),
        ("epochs = []", "epochs: Tuple should have at least 1 item"),
        ("batch_size = 1", "batch_size: Input should be greater than or equal to 2, found 1"),
        ("batch_size = 1000000", "batch_size: Input should be less than or equal to 4096, found 1000000"),
        ("epochs = '1;x'", "epochs: expected numbers separated by commas, found '1;x'"),
        ("split = 'x'", "split: expected a table, found 'x'"),
        ("split.window = 'x'", "split.window: Input should be 'later' or 'earlier', found 'x'"),
        ("split.unit = 'x'", "split: unit should be 'shares' or 'days', found {'unit': 'x'}"),
        ("split.unit = 'days'\nsplit.window = 'x'", "split.window: Input should be 'later' or 'earlier', found 'x'"),
        ("split.unit = 'days'\nsplit.test = 0.2", "split.test: Input should be a valid integer, found 0.2"),
        ("split.unit = 'days'\nsplit.test = 0", "split: validation 1 and test 0 must be at least 1 day each"),
        ("split.unit = 'days'\nsplit.hours_from_utc = 15", "split: hours_from_utc 15 must be from -12 to 14"),
        ("split.test = 1", "split: validation 0.1 and test 1.0 must be shares above 0 that leave something for "
         'training; for days, say unit = "days"'),
        ("optimiser = 'adm'", "optimiser: Input should be 'sgd' or 'adam', found 'adm'"),
        ("on_bad_row = 'x'", "on_bad_row: Input should be 'stop' or 'skip', found 'x'"),
        ("local = 1", "local: expected a table, found 1"),
        ("local.keep_positives = 1.5", "local: keep_positives 1.5 must be a share from 0 to 1"),
        ("local.keep_negatives = nan", "local: keep_negatives nan must be a share from 0 to 1"),
        ("local.most = 0", "local: most 0 must be at least 1; leave it out to hold all"),
        ("split.test = 0.9\nsplit.validation = 0.1", "split: validation 0.1 and test 0.9 must be shares above 0 that "),
        ("split.test = nan", "split: validation 0.1 and test nan must be shares above 0 that leave something for"),
        ("cloud.learning_rate = nan", "cloud: learning_rate nan must be a number above 0"),
        ("cloud.weight_decay = -1", "cloud: weight_decay -1.0 must be a number of at least 0"),
        ("cloud.batch_size = 0", "cloud: batch_size 0 must be at least 1"),
        ("cloud.epochs = 0", "cloud: epochs 0 must be at least 1"),
        ("cloud.patience = 0", "cloud: patience 0 must be at least 1"),
        ("cloud.epochs = 'x'", "cloud.epochs: Input should be a valid integer, found 'x'"),
        ("a = ", "not TOML: Invalid value (at end of document)"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_key_and_value(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FedctrError) as caught:
        of(text, tmp_path)
    said = str(caught.value)
    assert said.removeprefix(str(tmp_path) + "/").startswith(f"experiment.toml: {message}")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("content", "message"), [(None, "No such file or directory"), (b"\xff\xfe", "can't decode byte 0xff")]
)
def test_a_file_that_cannot_be_read(content: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(FedctrError, match=f"experiment.toml: cannot be read .*{message}"):
        Experiment.read(file)


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").write_bytes(b"\xef\xbb\xbfseeds = 2\n")
    assert Experiment.read(tmp_path / "experiment.toml") == {"seeds": 2}


def test_an_experiment_cannot_be_changed_afterwards() -> None:
    experiment: Any = Experiment()
    with pytest.raises(ValueError, match="frozen"):
        experiment.seeds = 5
