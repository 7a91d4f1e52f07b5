import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fedctr.models.model import models

Fedctr = Callable[..., tuple[int, str, str]]


def test_every_model_is_listed_with_options_and_citation(fedctr: Fedctr) -> None:
    code, out, err = fedctr("models")
    assert (code, err) == (0, "")
    for name, cls in models.classes().items():
        assert name in out
        assert cls.citation.split(",")[0] in out
    assert "hidden=[32,16]" in out
    assert "user_id=false" in out


def test_the_same_for_scripts(fedctr: Fedctr) -> None:
    found = {entry["name"]: entry for entry in json.loads(fedctr("models", "--json")[1])}
    assert found["lr"] == {
        "name": "lr",
        "description": "Logistic regression: one weight for each value of each field.",
        "options": {"user_id": False},
        "citation": "Richardson, Dominowska and Ragno, Predicting Clicks, WWW 2007",
        "home": "",
        "package": "fedctr",
    }


def test_a_new_model_keeps_the_contract_until_it_is_broken(
    fedctr: Fedctr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "Wrote deepest. Next: pip install -e deepest; fedctr models check deepest\n"
    assert fedctr("models", "new", "deepest") == (0, said, "")
    monkeypatch.chdir("deepest")
    code, out, err = fedctr("models", "check", "deepest:Deepest[hidden=4]")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "deepest:Deepest[hidden=4]: keeps the contract"

    Path("worse.py").write_text(
        Path("deepest.py").read_text().replace("return logits", "return logits - logits.mean()")
    )
    code, out, _ = fedctr("models", "check", "worse:Deepest")
    assert code == 1
    assert "broken  scores each sample as if it were alone\n        logits differ by up to" in out


def test_a_model_that_is_not_there(fedctr: Fedctr) -> None:
    code, out, err = fedctr("models", "check", "dinn")
    assert (code, out) == (2, "")
    assert err.startswith("fedctr: unknown model 'dinn'; did you mean din")


def test_help_teaches_by_an_example(fedctr: Fedctr) -> None:
    assert "Example: fedctr models check my_model:MyModel" in fedctr("models", "check", "--help")[1]
    assert "din[embedding=16,hidden=[64,32]]" in fedctr("models", "--help")[1]
