import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedctr.errors import FedctrError
from fedctr.grid.keep import keep
from fedctr.kept.comparing import Comparison, compare
from fedctr.kept.comparison_table import render
from fedctr.kept.finding import kept_run
from fedctr.statistics import paired_difference, unpaired_difference
from fedctr.summary import Result
from tests.grid.test_tables import outcomes
from tests.kept.folders import write_abtest, write_bench, write_train
from tests.online.visits import visits

Fedctr = Callable[..., tuple[int, str, str]]
ARMS = ("no-fine-tuning", "fine-tuning", "label-correction")
NAN = float("nan")
ONE = {"no-fine-tuning": [[0.5, 0.6, NAN], [0.4, 0.6, NAN]], "pairwise": [[0.6, 0.7, NAN], [0.5, 0.9, NAN]]}
OTHER = {"no-fine-tuning": [[0.7, 0.8, 0.5], [0.7, 0.9, 0.5]], "pairwise": [[0.9, 0.8, 0.5], [0.9, 1.0, 0.5]]}


def compared(tmp_path: Path, one: Any = ONE, other: Any = OTHER, users: str = "abc", **identity: Any) -> Comparison:
    """Two benchmarks; of the second, the users are told by letters, and keys of its identity may differ."""
    first = write_bench(tmp_path / "first", one)
    return compare(kept_run(first), kept_run(write_bench(tmp_path / "second", other, users, **identity)))


def test_users_of_the_same_samples_are_paired_by_their_ids(tmp_path: Path) -> None:
    """Users a, b and c against b, a and d; c is not covered in the first run, and d is not in it."""
    found = compared(tmp_path, users="bad")
    assert found.paired
    auc = found.strategies["pairwise"]["auc"]
    differences = np.array([[0.8 - 0.6, 1.0 - 0.5], [0.9 - 0.7, 0.9 - 0.9]])
    expected = paired_difference(differences, comparisons=2)
    assert auc["difference"]["mean"] == pytest.approx(0.225)
    for name in ("low", "high", "corrected_low", "corrected_high"):
        assert auc["difference"][name] == pytest.approx(getattr(expected, name))
    assert auc["first"] == {"mean": pytest.approx((0.6 + 0.7 + 0.5 + 0.9) / 4), "users": 2}
    assert auc["second"] == {"mean": pytest.approx((0.8 + 0.9 + 1.0 + 0.9) / 4), "users": 2}


def test_log_loss_and_the_gain_over_no_fine_tuning_are_compared_likewise(tmp_path: Path) -> None:
    found = compared(tmp_path)
    figures = found.strategies["pairwise"]
    assert figures["log_loss"]["difference"]["mean"] == pytest.approx(-figures["auc"]["difference"]["mean"])
    gains = np.array([[0.1, 0.1], [0.1, 0.3]]), np.array([[0.2, 0.2], [0.0, 0.1]])
    assert figures["gain"]["first"]["mean"] == pytest.approx(gains[0].mean())
    assert figures["gain"]["difference"]["mean"] == pytest.approx((gains[1] - gains[0]).mean())
    assert found.strategies["no-fine-tuning"]["gain"] is None


def test_users_of_other_samples_are_not_paired_though_they_are_called_alike(tmp_path: Path) -> None:
    found = compared(tmp_path, content_hash="2e")
    assert not found.paired
    auc = found.strategies["no-fine-tuning"]["auc"]
    expected = unpaired_difference(
        np.array([[0.5, 0.4], [0.6, 0.6]]), np.array([[0.7, 0.7], [0.8, 0.9], [0.5, 0.5]]), 2
    )
    assert auc["difference"]["low"] == pytest.approx(expected.low)
    assert auc["difference"]["mean"] == pytest.approx((0.7 + 0.8 + 0.5 + 0.7 + 0.9 + 0.5) / 6 - 2.1 / 4)
    assert (auc["first"]["users"], auc["second"]["users"]) == (2, 3)


def test_paired_runs_are_compared_over_the_seeds_of_both(tmp_path: Path) -> None:
    found = compared(tmp_path, other={spec: seeds[:1] for spec, seeds in OTHER.items()}, seeds=1)
    auc = found.strategies["no-fine-tuning"]["auc"]
    assert auc["difference"]["seeds"] == 1
    assert auc["first"]["mean"] == pytest.approx((0.5 + 0.6) / 2)
    assert found.settings == {"seeds": ("2", "1")}


def test_settings_that_differ_are_listed_and_those_that_change_no_result_are_not(tmp_path: Path) -> None:
    found = compared(tmp_path, model="din", cloud={"epochs": 3})
    assert found.settings == {"model": ("lr", "din"), "cloud.epochs": (None, "3")}


def test_strategies_of_one_run_only_are_named(tmp_path: Path) -> None:
    other = {"no-fine-tuning": OTHER["no-fine-tuning"], "joint": OTHER["pairwise"]}
    found = compared(tmp_path, other=other)
    assert (found.only_first, found.only_second, [*found.strategies]) == (["pairwise"], ["joint"], ["no-fine-tuning"])
    assert "Only in the first: pairwise.\nOnly in the second: joint." in render(found)


def test_a_run_that_bench_has_written_does_not_differ_from_itself(reference: Result) -> None:
    run = kept_run(reference.folder)
    found = compare(run, run)
    assert "All settings that determine results are the same." in render(found)
    for spec, entry in reference.summary["strategies"].items():
        auc = found.strategies[spec]["auc"]
        assert auc["first"] == {"mean": pytest.approx(entry["auc_user_mean"]), "users": entry["users_covered"]}
        assert {auc["difference"][name] for name in ("mean", "corrected_low", "corrected_high")} == {0.0}


def test_users_that_no_two_runs_share_have_no_difference(tmp_path: Path) -> None:
    found = compared(tmp_path, users="xyz")
    assert found.strategies["pairwise"]["auc"]["first"] == {"mean": None, "users": 0}
    line = next(line for line in render(found).splitlines() if line.strip().startswith("pairwise"))
    assert line.split() == ["pairwise", *["-"] * 5, "0"]


@pytest.mark.parametrize("strategies", [["joint"], ["fine-tuning", "joint"]])
def test_without_a_strategy_in_both_nothing_is_compared(strategies: list[str], tmp_path: Path) -> None:
    with pytest.raises(FedctrError, match=f"/second has {', '.join(strategies)}: none is in both"):
        compared(tmp_path, other=dict.fromkeys(strategies, OTHER["pairwise"]))


def test_what_has_no_users_is_refused_with_a_remedy(tmp_path: Path) -> None:
    bench, train = write_bench(tmp_path / "bench", ONE), write_train(tmp_path / "train", [[0.7, 0.6, 0.5]])
    keep(outcomes("model"), tmp_path / "grid")
    abtest = write_abtest(tmp_path / "abtest", visits(0, 100, dict.fromkeys(ARMS, 0.0), days=1))
    for folder, remedy in (
        (train, f"a trained model has no users yet; fedctr bench --published {train} makes a benchmark of it"),
        (tmp_path / "grid", f"a grid has many benchmarks; name one of them, which fedctr runs {tmp_path}/grid lists"),
        (abtest, f"an A/B test compares its arms itself, .* fedctr report {bench} {abtest} --out both.html puts both"),
    ):
        with pytest.raises(FedctrError, match=f"{folder}: {remedy}"):
            compare(kept_run(bench), kept_run(folder))
    (bench / "summary.json").unlink()
    with pytest.raises(FedctrError, match="the benchmark is not finished"):
        compare(kept_run(bench), kept_run(bench))


# ------------------------------------------------------------------------------------- the command


def test_the_table_says_how_users_were_compared(fedctr: Fedctr, tmp_path: Path) -> None:
    write_bench(tmp_path / "one", ONE)
    write_bench(tmp_path / "same", OTHER, model="din")
    write_bench(tmp_path / "other", OTHER, content_hash="a" * 64)
    code, out, err = fedctr("compare", "one", "same")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["model", "lr", "din"] in lines
    (row,) = [line for line in lines if line and line[0] == "pairwise"]
    assert row[:4] == ["pairwise", "0.6750", "0.9000", "+0.2250"]
    assert row[-1] == "2"
    said = " ".join(out.split())
    assert "Paired: both runs have the same samples, so differences are those of each user, over 2 seeds" in said
    _, out, _ = fedctr("compare", "one", "other")
    assert "Not paired: the runs have other samples" in out
    assert f"content_hash   1f      {'a' * 45}..." in out
    assert out.splitlines()[out.splitlines().index("Second less first") + 4].split()[-3:] == ["2", "and", "3"]


def test_json_has_every_figure(fedctr: Fedctr, tmp_path: Path) -> None:
    write_bench(tmp_path / "one", ONE)
    found = json.loads(fedctr("compare", "one", "one", "--json")[1])
    assert (found["first"], found["second"], found["paired"], found["settings"]) == ("one", "one", True, {})
    assert found["strategies"]["pairwise"]["gain"]["difference"]["mean"] == 0
