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


def test_the_title_says_what_was_run() -> None:
    title = "din[embedding=16] on synthetic[users=50], global CTR 0.583, 3 seeds; 819 of 1,943 users have both classes"
    assert " ".join(render(summary(pairwise=entry())).split()).startswith(f"{title} in test strategy")


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
