from typing import Any

import pytest

from fedctr.result_table import render


def interval(mean: float | None, low: float | None, high: float | None, **corrected: float) -> dict[str, Any]:
    return {"mean": mean, "low": low, "high": high, "corrected_low": low, "corrected_high": high, **corrected}


def entry(**figures: Any) -> dict[str, Any]:
    usual = {
        "auc_user_mean": 0.70014,
        "gauc_impressions": 0.69996,
        "users_covered": 819,
        "log_loss": 0.5,
        "share_harmed": 0.251,
        "learning_rate": 0.1,
        "epochs": 3,
        "validation": [{"learning_rate": 0.1, "epochs": 3, "auc_user_mean": 0.7, "diverged": 0}],
        "diverged": 0,
        "vs_no_fine_tuning": interval(0.0123, 0.0101, 0.0149),
        "vs_fine_tuning": interval(-0.0023, -0.0101, 0.0049),
    }
    return usual | figures


def summary(**strategies: dict[str, Any]) -> dict[str, Any]:
    return {
        "dataset": "synthetic[users=50]",
        "model": "din[embedding=16]",
        "global_ctr": 0.5834,
        "users": 1943,
        "seeds": 3,
        "strategies": {name.replace("_", "-"): entry for name, entry in strategies.items()},
    }


def row(text: str, name: str) -> list[str]:
    return next(line for line in text.splitlines() if line.strip().startswith(name)).split()


@pytest.mark.parametrize(("seeds", "said"), [(3, "3 seeds"), (1, "1 seed")])
def test_the_title_says_what_was_run(seeds: int, said: str) -> None:
    text = " ".join(render(summary(pairwise=entry()) | {"seeds": seeds}).split())
    title = f"din[embedding=16] on synthetic[users=50], global CTR 0.583, {said}; 819 of 1,943 users have both classes"
    assert text.startswith(f"{title} in test strategy")


def test_a_row_has_figures_and_differences_with_their_intervals() -> None:
    assert row(render(summary(pairwise=entry())), "pairwise") == [
        *("pairwise", "0.1", "x", "3", "0.7001", "0.7000", "0.5000", "25%"),
        *("+0.0123", "[+0.0101,", "+0.0149]*", "-0.0023", "[-0.0101,", "+0.0049]"),
    ]


def test_a_star_stands_where_the_corrected_interval_leaves_out_0() -> None:
    doubtful = interval(0.01, 0.001, 0.02, corrected_low=-0.001, corrected_high=0.03)
    worse = interval(-0.01, -0.02, -0.001)
    text = render(summary(pairwise=entry(vs_no_fine_tuning=doubtful, vs_fine_tuning=worse)))
    assert "+0.0200] " in text
    assert "-0.0010]*" in text


def test_a_baseline_is_not_compared_with_itself() -> None:
    text = render(summary(no_fine_tuning=entry(learning_rate=None, epochs=None), fine_tuning=entry()))
    assert row(text, "no-fine-tuning") == [
        "no-fine-tuning",
        "0.7001",
        "0.7000",
        "0.5000",
        "-0.0023",
        "[-0.0101,",
        "+0.0049]",
    ]
    assert row(text, "fine-tuning")[-3:] == ["+0.0123", "[+0.0101,", "+0.0149]*"]


def test_brackets_of_a_spec_are_not_markup() -> None:
    text = render(summary(**{"a:B[bold]": entry()}))
    assert row(text, "a:B")[0] == "a:B[bold]"


def test_what_could_not_be_computed_is_a_dash_and_what_was_not_compared_is_empty() -> None:
    nothing = entry(auc_user_mean=None, gauc_impressions=None, share_harmed=None, vs_no_fine_tuning=None)
    nothing["vs_fine_tuning"] = interval(None, None, None)
    assert row(render(summary(pairwise=nothing)), "pairwise") == ["pairwise", "0.1", "x", "3", "-", "-", "0.5000", "-"]


def test_a_single_user_has_a_difference_without_an_interval() -> None:
    text = render(summary(pairwise=entry(vs_fine_tuning=interval(0.25, None, None))))
    assert row(text, "pairwise")[-1] == "+0.2500"


def test_no_strategy_no_rows() -> None:
    assert "0 of 1,943 users" in render(summary())


def test_models_that_diverged_are_told_of() -> None:
    text = " ".join(render(summary(pairwise=entry(diverged=7), fine_tuning=entry())).split())
    assert text.endswith("Models of some users and seeds diverged and count as AUC 0.5: pairwise (7).")


def test_a_huge_log_loss_is_written_short() -> None:
    assert "6.1e+23" in render(summary(pairwise=entry(log_loss=6.132e23)))


@pytest.mark.parametrize(("validation", "said"), [([{"learning_rate": 0.1}], True), ([], False)])
def test_it_says_that_validation_chose_where_it_did(validation: list[Any], said: bool) -> None:
    text = " ".join(render(summary(pairwise=entry(validation=validation))).split())
    assert ("learning rate x epochs, chosen on validation." in text) == said
    assert ("learning rate x epochs." in text) == (not said)


# ----------------------------------------------------------------------------------------- ranked, gates


def gained(auc: float, gauc: float | None) -> dict[str, Any]:
    """An entry with these differences against no fine-tuning."""
    limits = (None, None) if gauc is None else (gauc - 0.002, gauc + 0.002)
    compared = interval(auc, auc - 0.001, auc + 0.001) | {"gauc_impressions_difference": interval(gauc, *limits)}
    return entry(vs_no_fine_tuning=compared)


def test_the_largest_gain_in_gauc_comes_first_whatever_the_user_auc() -> None:
    some = summary(a=gained(0.03, -0.01), no_fine_tuning=gained(0, 0), b=gained(0.01, None), c=gained(-0.02, 0.02))
    lines = [line.split() for line in render(some, ranked=True).splitlines()]
    assert [line[0] for line in lines if line and line[0] in some["strategies"]] == ["c", "no-fine-tuning", "a", "b"]
    in_order = [line.split() for line in render(some).splitlines()]
    assert [line[0] for line in in_order if line and line[0] in some["strategies"]] == [*some["strategies"]]


def test_a_ranked_row_has_both_differences_with_their_intervals() -> None:
    text = render(summary(pairwise=gained(-0.02, 0.013), no_fine_tuning=gained(0, 0)), ranked=True)
    assert row(text, "pairwise") == [
        *("pairwise", "0.1", "x", "3", "0.5000", "25%"),
        *("0.7001", "-0.0200", "[-0.0210,", "-0.0190]*", "0.7000", "+0.0130", "[+0.0110,", "+0.0150]*"),
    ]
    assert row(text, "no-fine-tuning")[-2:] == ["0.7001", "0.7000"]  # nothing against itself
    assert "GAUC vs no-fine-tuning" in text
    assert "Differences in user AUC and GAUC, 95 % intervals" in " ".join(text.split())


def test_without_a_baseline_a_ranked_table_keeps_its_order() -> None:
    alone = {name: entry(vs_no_fine_tuning=None) for name in ("b", "a")}
    text = render(summary(**alone), ranked=True)
    assert [line.split()[0] for line in text.splitlines() if line.strip()[:2] in ("a ", "b ")] == ["b", "a"]


def test_what_a_gate_is_worth_stands_below() -> None:
    report = {
        "ungated": "fine-tuning",
        "harm_removed": interval(0.625, 0.5, 0.75),
        "gain_lost": interval(-0.1, None, None),
    }
    text = " ".join(render(summary(gate=entry(gate=report))).split())
    assert text.endswith(
        "gate removes 62% [50%, 75%] of the harm that fine-tuning does to users' AUC, and -10% of its gain."
    )
    report["harm_removed"] = interval(None, None, None)
    assert "gate removes none of the harm" in " ".join(render(summary(gate=entry(gate=report))).split())
