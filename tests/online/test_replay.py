from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedctr.data.cache import open_dataset
from fedctr.errors import FedctrError
from fedctr.online.abtest import abtest
from fedctr.online.replay import replay_world
from fedctr.online.settings import ABTest, ReplayTable
from fedctr.progress import Silent
from tests.online.worlds import small_test

pytestmark = pytest.mark.usefixtures("small_cache")

LOG = "synthetic[users=40,items=50]"
TABLE = ReplayTable(dataset=LOG, candidates=8, shown=3, new_items=2, copies=2, factors=3)
DAYS = range(-3, 3)


def test_copies_of_a_user_share_tastes_and_features_but_not_their_draws() -> None:
    truth, population, _ = replay_world(TABLE, None, 0, DAYS, Silent())
    log = open_dataset(LOG)
    assert population.users == population.schema.users == 80
    assert population.samples == 0
    assert np.array_equal(population.user_codes[:, 0], np.arange(1, 81))
    assert np.array_equal(population.user_codes[:40, 1:], population.user_codes[40:, 1:])
    assert np.array_equal(population.user_codes[:40], log.user_codes)
    assert population.user_ids.to_pylist()[39:42] == ["40", "1 copy 2", "2 copy 2"]
    for values in (truth.arrival, truth.intercept, truth.lasting, truth.own, truth.other):
        assert np.array_equal(values[:40], values[40:])


def test_tastes_turn_towards_those_of_another_user() -> None:
    truth, _, _ = replay_world(TABLE, None, 0, DAYS, Silent())
    assert truth.own[:40].mean(0) == pytest.approx(0, abs=1e-12)
    assert sorted(map(tuple, truth.other[:40])) == sorted(map(tuple, truth.own[:40]))
    assert (truth.other != truth.own).any(1).all()


def test_users_and_items_are_as_busy_as_in_the_log_and_items_join_in_its_order() -> None:
    truth, _, _ = replay_world(TABLE, None, 0, DAYS, Silent())
    log = open_dataset(LOG)
    samples = np.diff(log.offsets)
    assert np.array_equal(np.argsort(truth.arrival[:40], kind="stable"), np.argsort(samples, kind="stable"))
    assert np.array_equal(truth.exposure, np.bincount(log.item, minlength=50) + 1)
    first = np.array([log.time[log.item == item].min(initial=np.iinfo(np.int64).max) for item in range(50)])
    late = truth.born > DAYS.start
    assert late.sum() == 10
    assert first[late].min() >= first[~late].max()


def test_a_replay_is_run_and_its_fit_is_told(tmp_path: Path) -> None:
    outcome = abtest(small_test(tmp_path / "out", world=TABLE, model="lr"))
    assert outcome.summary["world"] == "replay"
    assert set(outcome.summary["fit"]) == {"samples", "auc", "log_loss", "log_loss_of_ctr", "calibration"}
    assert "The world's click model" in " ".join(outcome.table().split())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model": "fm"}, "model: fm has a matrix factorisation within"),
        ({"model": "deepfm[embedding=4]"}, "model: deepfm has a matrix factorisation within"),
        ({"world": replace(TABLE, dataset="synthetik")}, "unknown data set 'synthetik'; did you mean synthetic?"),
        ({"world": replace(TABLE, new_items=9)}, "world: synthetic has 50 items, of which 45 join later"),
        ({"world": replace(TABLE, new_items=0), "path": Path("x")}, "is generated, not read"),
    ],
)
def test_what_cannot_be_replayed_is_refused(keys: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(FedctrError) as caught:
        abtest(small_test(tmp_path / "out", **{"world": TABLE, **keys}))
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "reply"}, "world: kind should be 'synthetic' or 'replay', found {'kind': 'reply'}"),
        ({"kind": "replay", "copys": 2}, "unknown key 'world.copys'; did you mean copies"),
        ({"kind": "replay", "copies": 0}, "world: copies 0 must be at least 1"),
    ],
)
def test_what_is_wrong_with_its_table_is_said(table: dict[str, object], message: str) -> None:
    with pytest.raises(FedctrError) as caught:
        ABTest.of({"world": table}, "test.toml")
    assert str(caught.value).startswith(f"test.toml: {message}")
