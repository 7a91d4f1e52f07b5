"""Federated training from end to end."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from flwr.app import Message
from sklearn.metrics import log_loss, roc_auc_score

from fedctr import loop
from fedctr.benchmark import bench
from fedctr.cloud import initial_model
from fedctr.data.cache import open_dataset
from fedctr.data.split import Fractions, split
from fedctr.errors import FedctrError
from fedctr.features import Features
from fedctr.federated import server
from fedctr.federated.contribution import recipes
from fedctr.federated.messages import RoundTask
from fedctr.federated.participation import Participation
from fedctr.federated.personal import PersonalFile
from fedctr.federated.privacy import Privacy
from fedctr.federated.settings import Training
from fedctr.federated.training import train
from fedctr.published import Published
from fedctr.simulation import InlineGrid
from strategies.fine_tuning import FineTuning
from tests.application import DATASET, FEDCTR, announced, experiment, files

pytestmark = pytest.mark.usefixtures("small_cache")

MODEL = "wide-deep[embedding=4,hidden=[8],history=5]"
CHOICES: dict[str, Any] = {
    "dataset": DATASET,
    "model": MODEL,
    "rounds": 3,
    "learning_rate": 0.3,
    "seeds": 1,
    "partitions": 2,
    "backend": "inline",
}


def training(out: Path, **keys: Any) -> Training:
    """A small training: 50 users, 3 rounds; some keys may differ."""
    return Training(**{**CHOICES, "out": out, **keys})


def bits(folder: Path) -> dict[str, bytes]:
    """What a training found, to the bit; clients may be lost on the way, so that their number counts too."""
    names = [name for name in files(folder) if name.endswith(".safetensors")]
    assert len(names) >= 4
    return {name: (folder / name).read_bytes() for name in [*names, "rounds.csv"]}


def published(folder: Path, seed: int = 0) -> Published:
    return Published.load(folder / "published" / f"seed-{seed}")[0]


# --------------------------------------------------------------------------------- rounds beside a plain loop


def test_fedavg_beside_a_plain_loop_over_users(tmp_path: Path) -> None:
    """Every round, each user starts from the global model, and the next one is the mean of their models."""
    result = train(training(tmp_path / "run", rounds=2, epochs=2))
    dataset = open_dataset(DATASET)
    parts = split(dataset, Fractions())
    features = Features(dataset, parts, range(dataset.users), 5)
    start = initial_model(MODEL, dataset.schema, 0)
    global_ctr = float(
        np.mean(np.concatenate([dataset.label[a:b] for a, b in zip(*parts.bounds("train"), strict=True)]))
    )
    task = RoundTask("", Fractions(), "", 0, 0.3, 2, 32, Participation())
    state = dict(start.state_dict())
    for number in (1, 2):
        here = Published.from_state(MODEL, dataset.schema, global_ctr, state)
        (recipe,) = recipes(task, number)
        tuned = []
        for user in range(dataset.users):
            *_, model = loop.fine_tune(here, FineTuning(), features, user, recipe)
            tuned.append({name: value.double() for name, value in model.state_dict().items()})
        state = {name: torch.stack([each[name] for each in tuned]).mean(0).float() for name in state}
        begin, end = parts.bounds("validation")
        rows = np.concatenate([np.arange(a, b) for a, b in zip(begin, end, strict=True)])
        owner = np.repeat(np.arange(dataset.users), end - begin)
        with torch.no_grad():
            scored = Published.from_state(MODEL, dataset.schema, global_ctr, state).model
            chances = scored(features.batch(rows[None], owner[None]))[0].double().sigmoid().numpy()
        found = result.rounds[result.rounds["round"] == number].iloc[0]
        assert found["log_loss"] == pytest.approx(log_loss(dataset.label[rows], chances), abs=1e-5)
        assert found["auc"] == pytest.approx(roc_auc_score(dataset.label[rows], chances), abs=2e-3)
    last = torch.nn.utils.parameters_to_vector(published(tmp_path / "run").model.parameters())
    expected = torch.nn.utils.parameters_to_vector([state[name] for name, _ in start.named_parameters()])
    torch.testing.assert_close(last, expected, atol=1e-5, rtol=1e-4)
    assert published(tmp_path / "run").global_ctr == pytest.approx(global_ctr)


def test_averaged_over_holders_a_row_moves_the_further_the_fewer_they_are(tmp_path: Path) -> None:
    """FedSubAvg's change is that of FedAvg times the users of the round, by those of them who have met the item."""
    keys: dict[str, Any] = {"rounds": 1, "users_per_round": 0.6, "dropout": 0.2, "personal": ("wide_item.*",)}
    models = {}
    for averaging in ("users", "holders"):
        train(training(tmp_path / averaging, averaging=averaging, **keys))
        models[averaging] = published(tmp_path / averaging).model.state_dict()
    dataset = open_dataset(DATASET)
    parts = split(dataset, Fractions())
    users = np.flatnonzero(Participation(0.6, 0.2).draw(0, 1, parts).takes_part)
    met = [np.unique(dataset.item[parts.start[user] : parts.train_end[user]]) for user in users]
    holders = np.bincount(np.concatenate(met) + 1, minlength=len(dataset.item_ids) + 1)  # the first row is for none
    assert {0, 1, 2} < set(holders.tolist())
    start = initial_model(MODEL, dataset.schema, 0).state_dict()
    name = "item.tables.item.weight"
    one, other = (models[averaging][name] - start[name] for averaging in ("users", "holders"))
    factor = torch.from_numpy(len(users) / np.maximum(holders, 1))[:, None]
    torch.testing.assert_close(other.double(), factor * one.double(), atol=1e-6, rtol=1e-3)
    assert other.abs().max() > 0.01
    dense = [name for name in start if not name.startswith(("item.", "user.", "wide_user."))]
    assert dense
    assert all(torch.equal(models["users"][name], models["holders"][name]) for name in dense)


def test_it_learns(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"dataset": "synthetic[users=300,items=60,samples_per_user=40]", "rounds": 10}
    curve = train(training(tmp_path / "run", aggregation="fedadam[eta=0.03,tau=1e-6]", **keys)).rounds
    assert curve["auc"].iloc[-1] > 0.6 > curve["auc"].iloc[0] + 0.05
    assert curve["log_loss"].min() < curve["log_loss"].iloc[0] - 0.04


# ------------------------------------------------------------------------------- the same however it is spread


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"aggregation": "fedadam[eta=0.01]", "users_per_round": 0.5, "dropout": 0.2},
        {"aggregation": "fedprox[proximal_mu=0.5]", "stragglers": 0.5, "epochs": 2},
        {"aggregation": "per-fedavg[step=2]", "epochs": 2, "strategy": "label-correction"},
        {"privacy": Privacy(0.5, 0.1), "strategy": "pairwise"},
        {"aggregation": "fedyogi", "personal": ("deep.layers.*",), "alternate": True},
        {"averaging": "holders", "personal": ("wide_item.*",), "users_per_round": 0.6, "dropout": 0.2},
    ],
    ids=["fedavg", "fedadam", "fedprox", "per-fedavg", "private", "personal", "holders"],
)
def test_partitions_change_no_bit(keys: dict[str, Any], tmp_path: Path) -> None:
    found = []
    for partitions in (1, 5) if keys else (1, 2, 5, 50):
        folder = tmp_path / str(partitions)
        train(training(folder, partitions=partitions, **{"rounds": 2} | keys))
        found.append(bits(folder))
    assert all(each == found[0] for each in found)


@pytest.mark.exhaustive
def test_ray_gives_the_same_bits(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"aggregation": "fedadam", "users_per_round": 0.7, "personal": ("deep.layers.1.*",)}
    train(training(tmp_path / "inline", partitions=1, **keys))
    (tmp_path / "training.toml").write_text(training(Path("ray"), partitions=3, backend="ray", **keys).to_toml())
    ended = run(tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert bits(tmp_path / "ray") == bits(tmp_path / "inline")
    assert announced(ended.stderr) == ["clients", f"federated: {MODEL}, seed 0"]
    # The report is the command's: in Python one asks for it.
    assert files(tmp_path / "ray") == files(tmp_path / "inline") | {"report.html"}


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``fedctr train training.toml`` in a folder, in a process of its own."""
    return subprocess.run([FEDCTR, "train", "training.toml"], cwd=folder, capture_output=True, text=True, timeout=400)


@pytest.mark.parametrize("aggregation", ["fedmedian", "krum"])
def test_fedmedian_and_krum_compare_partitions(aggregation: str, tmp_path: Path) -> None:
    three, four = (train(training(tmp_path / str(n), aggregation=aggregation, partitions=n)) for n in (3, 4))
    assert (three.rounds["users"] == four.rounds["users"]).all()
    assert three.rounds["log_loss"].iloc[-1] != four.rounds["log_loss"].iloc[-1]
    with pytest.raises(FedctrError, match="holds another run"):
        train(training(tmp_path / "3", aggregation=aggregation, partitions=4))


def test_seeds_have_models_and_users_of_their_own(tmp_path: Path) -> None:
    result = train(training(tmp_path / "run", seeds=2, users_per_round=0.5))
    first, second = (result.rounds[result.rounds["seed"] == seed] for seed in (0, 1))
    assert (first["log_loss"].to_numpy() != second["log_loss"].to_numpy()).all()
    alone = train(training(tmp_path / "alone", seeds=1, users_per_round=0.5))
    pd.testing.assert_frame_equal(alone.rounds, first.reset_index(drop=True), check_exact=True)


def test_only_clients_with_users_who_take_part_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one user to a partition, the literal picture of sampled clients."""
    push = InlineGrid.push_messages
    asked: set[int] = set()

    def counting(grid: InlineGrid, messages: Iterable[Message]) -> Iterable[str]:
        messages = list(messages)
        asked.update(each.metadata.dst_node_id - 1 for each in messages if each.metadata.message_type == "train")
        return push(grid, messages)

    monkeypatch.setattr(InlineGrid, "push_messages", counting)
    result = train(training(tmp_path / "run", partitions=50, users_per_round=0.2, dropout=0.3, rounds=1))
    draw = Participation(0.2, 0.3).draw(0, 1, split(open_dataset(DATASET), Fractions()))
    assert asked == set(np.flatnonzero(draw.takes_part))
    assert 0 < len(asked) < 10
    assert result.rounds["clients_lost"].tolist() == [0, 0]


# ------------------------------------------------------------------------------------------- the run folder


def test_the_curve_counts_who_took_part_dropped_out_and_was_slow(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"users_per_round": 0.6, "dropout": 0.3, "stragglers": 0.5, "epochs": 2, "rounds": 4}
    result = train(training(tmp_path / "run", **keys))
    assert result.rounds["round"].tolist() == [0, 1, 2, 3, 4]
    parts = split(open_dataset(DATASET), Fractions())
    for row in result.rounds.iloc[1:].itertuples():
        draw = Participation(0.6, 0.3, 0.5).draw(0, int(str(row.round)), parts)
        counts = draw.sampled, draw.sampled - draw.takes_part.sum(), draw.takes_part.sum(), draw.slow.sum()
        assert (row.sampled, row.dropped, row.users, row.slow) == counts
        assert (row.diverged, row.clients_lost) == (0, 0)
    assert result.rounds["dropped"].sum() > 0 < result.rounds["slow"].sum()
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "run" / "rounds.csv"), result.rounds)


@pytest.mark.parametrize("best_by", ["log-loss", "auc"])
def test_the_best_round_is_published_with_facts(best_by: str, tmp_path: Path) -> None:
    result = train(training(tmp_path / "run", aggregation="fedadam[eta=0.1]", rounds=6, best_by=best_by))
    losses, aucs = result.rounds["log_loss"], result.rounds["auc"]
    best = int((losses if best_by == "log-loss" else -aucs).iloc[1:].argmin()) + 1
    assert best < 6  # the steps are too long in the end
    assert losses.iloc[1:].argmin() != (-aucs).iloc[1:].argmin()
    facts = json.loads((tmp_path / "run/published/seed-0/published.json").read_text())
    assert facts["best_round"] == best == result.best()["round"].item()
    assert [each["log_loss"] for each in facts["validation"]] == losses.tolist()
    train(training(tmp_path / "short", aggregation="fedadam[eta=0.1]", rounds=best))
    name = "published/seed-0/model.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "short" / name).read_bytes()


def test_a_finished_training_is_repeated_without_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train(training(tmp_path / "run"))
    before = bits(tmp_path / "run")
    monkeypatch.setattr(server, "find_clients", lambda *all: pytest.fail("asked the clients"))
    again = train(training(tmp_path / "run"))
    pd.testing.assert_frame_equal(first.rounds, again.rounds)
    assert bits(tmp_path / "run") == before


def test_another_training_is_refused(tmp_path: Path) -> None:
    train(training(tmp_path / "run"))
    with pytest.raises(FedctrError, match="run: holds another run; choose another --out or delete the folder"):
        train(training(tmp_path / "run", learning_rate=0.2))
    with pytest.raises(FedctrError, match="run: holds another run"):
        bench(experiment(tmp_path / "run"))


# --------------------------------------------------------------------------------------- killed and resumed

# A strategy that ends the whole process, as a power cut would, in the midst of the third round.
FATAL = """
import os, signal
from dataclasses import dataclass
from pathlib import Path
from fedctr import ClientStrategy

@dataclass(frozen=True)
class Fatal(ClientStrategy):
    name = "fatal"
    def targets(self, local, published):
        if Path("armed").exists() and Path("out/checkpoints/seed-0/round-000002").exists():
            left = Path("armed").read_text()
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            Path("armed").write_text(left[1:])
        return local.labels
"""


def test_a_training_that_is_killed_goes_on_and_ends_with_the_same_bits(
    fedctr: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "my.py").write_text(FATAL)
    keys: dict[str, Any] = {"aggregation": "fedadam[eta=0.02]", "strategy": "my:Fatal", "partitions": 4, "rounds": 4}
    keys |= {"personal": ("deep.layers.1.*",), "users_per_round": 0.8, "averaging": "holders"}
    (tmp_path / "training.toml").write_text(training(Path("out"), **keys).to_toml())
    (tmp_path / "armed").write_text("xxx")  # so many cohorts are done first
    assert run(tmp_path).returncode == -signal.SIGKILL
    kept = {name for name in files(tmp_path / "out") if name.startswith(("checkpoints", "published", "personal"))}
    assert {name.split("/")[2] for name in kept if name.startswith("checkpoints")} == {"round-000002"}
    assert not any(name.startswith("published") for name in kept)
    assert "personal/seed-0-round-3-client-0.npz" in kept
    (tmp_path / "armed").unlink()
    code, _, err = fedctr("train", "training.toml")
    assert code == 0, err
    assert "round 1 of" not in (tmp_path / "out/log.txt").read_text().split("round 2 of")[1]
    code, _, err = fedctr("train", "training.toml", "--out", "whole")
    assert code == 0, err
    assert bits(tmp_path / "out") == bits(tmp_path / "whole")
    own = "personal/seed-0.npy"
    assert (tmp_path / "out" / own).read_bytes() == (tmp_path / "whole" / own).read_bytes()
    assert files(tmp_path / "out") == files(tmp_path / "whole")


@pytest.mark.parametrize("done", [0, 1])
def test_a_training_that_ends_while_it_takes_in_personal_parameters_loses_none(
    done: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: dict[str, Any] = {"personal": ("deep.layers.1.*",), "partitions": 3}
    take_in = PersonalFile.take_in

    def cut_short(file: PersonalFile, number: int, clients: Iterable[int]) -> None:
        take_in(file, number, list(clients)[: done if number == 2 else None])
        if number == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PersonalFile, "take_in", cut_short)
        patch.setattr(PersonalFile, "forget", lambda file: None)
        with pytest.raises(KeyboardInterrupt, match="the finished rounds are kept in"):
            train(training(tmp_path / "run", **keys))
    train(training(tmp_path / "run", **keys))
    train(training(tmp_path / "whole", **keys))
    assert bits(tmp_path / "run") == bits(tmp_path / "whole")
    own = "personal/seed-0.npy"
    assert (tmp_path / "run" / own).read_bytes() == (tmp_path / "whole" / own).read_bytes()


def test_ctrl_c_leaves_what_is_finished(tmp_path: Path) -> None:
    (tmp_path / "training.toml").write_text(training(Path("out"), rounds=100_000, partitions=1).to_toml())
    process = subprocess.Popen([FEDCTR, "train", "training.toml"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 400
        while process.poll() is None and time.monotonic() < deadline and not (tmp_path / "out/log.txt").exists():
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 2
    assert said.splitlines()[-1] == (
        "fedctr: interrupted; the finished rounds are kept in out; run it again with --out out to go on"
    )
    assert not (tmp_path / "out" / ".stop").exists()


# ------------------------------------------------------------------------------------------- clients that fail

PICKY = """
from dataclasses import dataclass
from fedctr import ClientStrategy

@dataclass(frozen=True)
class Picky(ClientStrategy):
    name = "picky"
    only: int = 0
    def targets(self, local, published):
        if self.only == 0 or (local.samples == self.only).any():
            raise RuntimeError("no")
        return local.labels
"""


@pytest.fixture
def picky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterable[str]:
    (tmp_path / "my_picky.py").write_text(PICKY)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "my_picky:Picky"
    sys.modules.pop("my_picky", None)


def test_a_client_that_fails_is_told_and_its_users_are_left_out(picky: str, tmp_path: Path) -> None:
    dataset = open_dataset(DATASET)
    begin, end = split(dataset, Fractions()).bounds("train")
    samples = pd.Series(end - begin)
    victim = samples[samples.map(samples.value_counts()) == 1].index[0]
    client = next(index for index in range(5) if victim < 10 * (index + 1))
    result = train(training(tmp_path / "run", strategy=f"{picky}[only={samples[victim]}]", partitions=5))
    assert result.rounds["users"].tolist() == [0, 40, 40, 40]
    assert result.rounds["clients_lost"].tolist() == [0, 1, 1, 1]
    raw = dataset.user_ids[int(victim)]
    assert result.complaint == (
        f"strategy {picky}[only={samples[victim]}]: client {client}, user {raw}: RuntimeError: no "
        "(2 more in log.txt); the rounds went on without"
    )
    assert f"round 2: {result.failures[1]}" in (tmp_path / "run/log.txt").read_text()


def test_where_every_client_fails_training_ends(picky: str, tmp_path: Path) -> None:
    with pytest.raises(FedctrError, match=r"round 1: strategy my_picky:Picky: client 1, .*; no client was left"):
        train(training(tmp_path / "run", strategy=picky))


def test_a_client_that_vanishes_is_waited_for_only_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of five clients never answers in the second round, and answers again in the third."""
    push, sent = InlineGrid.push_messages, [0]

    def losing(grid: InlineGrid, messages: Iterable[Message]) -> Iterable[str]:
        kept = list(push(grid, messages))
        for identifier in kept:
            if grid._inbox[identifier].metadata.message_type == "train":
                sent[0] += 1
                if sent[0] == 7:
                    del grid._inbox[identifier]
        return kept

    monkeypatch.setattr(InlineGrid, "push_messages", losing)
    result = train(training(tmp_path / "run", partitions=5, round_seconds=0.2, personal=("deep.layers.1.*",)))
    assert result.rounds["clients_lost"].tolist() == [0, 0, 1, 0]
    assert result.rounds["users"].tolist() == [0, 50, 40, 50]
    assert str(result.failures[0]) == "strategy fine-tuning: client 1: no reply within 0.2 s"


def test_a_round_in_which_everybody_drops_out_changes_nothing(tmp_path: Path) -> None:
    result = train(training(tmp_path / "run", users_per_round=0.02, dropout=0.9, rounds=5))
    idle = result.rounds["users"] == 0
    assert 1 < idle.sum() < 6
    same = result.rounds["log_loss"].diff().iloc[1:] == 0
    assert (same == idle.iloc[1:]).all()


def test_training_that_diverges_is_one_line(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"aggregation": "reptile[step=1e38]", "rounds": 9}
    with pytest.raises(FedctrError, match=r"model wide-deep\[.*\]: training diverged in round \d; lower learning_rate"):
        train(training(tmp_path / "run", **keys))


# ------------------------------------------------------------------------------------------------- personal


def test_the_published_personal_part_is_the_mean_over_all_users(tmp_path: Path) -> None:
    name = "deep.layers.1.weight"
    keys: dict[str, Any] = {"personal": (name,), "users_per_round": 0.3, "rounds": 3}
    result = train(training(tmp_path / "run", **keys))
    assert result.best()["round"].item() == 3
    kept = np.load(tmp_path / "run/personal/seed-0.npy")
    assert kept.shape == (50, 8)
    start = initial_model(MODEL, open_dataset(DATASET).schema, 0).state_dict()[name].numpy().ravel()
    still = (kept == start).all(1).sum()
    draws = [Participation(0.3).draw(0, number, split(open_dataset(DATASET), Fractions())) for number in (1, 2, 3)]
    assert still == 50 - np.any([draw.takes_part for draw in draws], axis=0).sum() > 0
    found = published(tmp_path / "run").model.state_dict()[name].numpy().ravel()
    np.testing.assert_allclose(found, kept.mean(0), atol=1e-6)
    shared = train(training(tmp_path / "shared", users_per_round=0.3))
    assert shared.rounds["log_loss"].iloc[-1] != result.rounds["log_loss"].iloc[-1]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"personal": ("head",)}, r"personal: 'head' is none of the parameters of wide-deep\[.*\]: wide_user.tables."),
        ({"personal": ("*",)}, "personal: all parameters of .* would stay on the devices; leave some to be shared"),
        ({"strategy": "no-fine-tuning"}, "strategy: no-fine-tuning changes nothing, so nothing would be trained"),
        ({"partitions": 51}, "partitions: 51 is more than the 50 users of synthetic; a partition needs a user"),
        ({"model": "dinn"}, "unknown model 'dinn'; did you mean din"),
        ({"strategy": "fine-tunning"}, "unknown strategy 'fine-tunning'; did you mean fine-tuning"),
    ],
)
def test_a_mistake_is_found_before_anything_is_written(keys: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(FedctrError, match=message):
        train(training(tmp_path / "run", **keys))
    assert not (tmp_path / "run").exists()
