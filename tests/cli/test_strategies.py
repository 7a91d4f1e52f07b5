import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fedctr.strategy import strategies

Fedctr = Callable[..., tuple[int, str, str]]


def test_every_strategy_is_listed_with_its_description_and_citation(fedctr: Fedctr) -> None:
    code, out, err = fedctr("strategies")
    assert (code, err) == (0, "")
    said = " ".join(out.split())
    for name, cls in strategies.classes().items():
        assert name in said
        assert (inspect.getdoc(cls) or "nothing").splitlines()[0] in said
        assert cls.citation in said
    assert "variant=one-sided" in said


def test_those_that_scripts_call_are_there_as_json(fedctr: Fedctr) -> None:
    code, out, err = fedctr("strategies", "--json")
    assert (code, err) == (0, "")
    found = {entry["name"]: entry for entry in json.loads(out)}
    assert found.keys() >= {"no-fine-tuning", "fine-tuning", "label-correction", "logit-adjustment", "pairwise"}
    assert found["label-correction"] == {
        "name": "label-correction",
        "description": "Correct the local labels so that the local prior moves to the global CTR, then fine-tune.",
        "options": {"variant": "one-sided", "clip": False, "strength": 10.0, "share": 0.5},
        "citation": "arXiv 2211.01163",
        "home": "",
        "package": "fedctr",
    }


def test_every_listed_name_can_be_created() -> None:
    for name, cls in strategies.classes().items():
        assert type(strategies.create(name)) is cls


def test_a_new_strategy_keeps_the_contract_until_it_is_broken(
    fedctr: Fedctr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = fedctr("strategies", "new", "softest")
    assert (code, out) == (0, "Wrote softest. Next: pip install -e softest; fedctr strategies check softest\n")
    monkeypatch.chdir("softest")
    monkeypatch.setattr("sys.path", [*sys.path])
    code, out, err = fedctr("strategies", "check", "softest:Softest[weight=0.3]")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "softest:Softest[weight=0.3]: keeps the contract"
    assert "broken" not in out

    source = Path("softest.py").read_text()
    Path("worst.py").write_text(source.replace("* published.global_ctr", "* local.ctr.max()"))
    code, out, _ = fedctr("strategies", "check", "worst:Softest")
    assert code == 1
    assert "broken  treats each user as if it were alone, to the bit (lr)\n        logits of the user with" in out
    assert out.splitlines()[-1] == "worst:Softest: 6 rules broken"


def test_what_a_strategy_prints_does_not_get_between_the_findings(
    fedctr: Fedctr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    source = (
        "from strategies.fine_tuning import FineTuning\n\nprint('hello')\n\n\nclass Chatty(FineTuning):\n    'Talks.'\n"
    )
    Path("chatty.py").write_text(
        f"{source}\n    def targets(self, local, published):\n        print('hello')\n        return local.labels\n"
    )
    code, out, err = fedctr("strategies", "check", "chatty:Chatty")
    assert code == 0
    assert "hello" in err
    assert all(line.startswith(("kept    ", "chatty:Chatty: keeps")) for line in out.splitlines())


def test_a_strategy_that_is_not_there(fedctr: Fedctr) -> None:
    code, out, err = fedctr("strategies", "check", "fine-tunin")
    assert (code, out) == (2, "")
    assert err.startswith("fedctr: unknown strategy 'fine-tunin'; did you mean fine-tuning")
