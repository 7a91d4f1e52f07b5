import inspect
import json
from collections.abc import Callable

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
    }


def test_every_listed_name_can_be_created() -> None:
    for name, cls in strategies.classes().items():
        assert type(strategies.create(name)) is cls
