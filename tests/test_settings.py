import dataclasses
import pkgutil
import tomllib
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

from fedctr.errors import FedctrError
from fedctr.settings import FILES, Settings

SETTINGS: list[type[Settings]] = [pkgutil.resolve_name(file) for file in FILES]
EXPERIMENT, TRAINING, AB_TEST = SETTINGS


def forms_in(annotation: Any) -> Iterator[type]:
    """The dataclasses that an annotation speaks of."""
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from forms_in(part)


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_declare_the_forms_of_their_own_tables(settings: type[Settings]) -> None:
    forms = {key: set(forms_in(field.annotation)) for key, field in settings.model_fields.items()}
    assert {table: set(told.values()) for table, told in settings.tables.items()} == {
        key: found for key, found in forms.items() if found
    }


# ------------------------------------------------------------------------------------ numbers and truth values


def numbers() -> list[Any]:
    """Every number in a table of a file: the settings, the table, what is said beside it, and its key."""
    found = []
    for settings in SETTINGS:
        for table, forms in settings.tables.items():
            for told, form in forms.items():
                kinds = get_type_hints(form)
                beside: dict[str, Any] = tomllib.loads(told)
                for field in dataclasses.fields(form):
                    if field.default is dataclasses.MISSING:
                        beside[field.name] = "fine-tuning" if kinds[field.name] is str else 1
                for key, kind in kinds.items():
                    if kind in (int, float, int | None):
                        where = f"{settings.__name__}-{table}-{told}-{key}"
                        found.append(pytest.param(settings, table, beside, key, id=where))
    return found


@pytest.mark.parametrize(("settings", "table", "beside", "key"), numbers())
def test_what_is_no_number_is_not_taken_for_one(
    settings: type[Settings], table: str, beside: dict[str, Any], key: str
) -> None:
    for value in (True, "1"):
        told = beside | {key: value}
        with pytest.raises(FedctrError, match=rf"{table}\.(\d\.)?{key}: Input should be a valid \w+, found {value!r}"):
            settings.of({table: [told] if table == "arms" else told})


@pytest.mark.parametrize(("settings", "key"), [(TRAINING, "alternate"), (TRAINING, "beside_cloud"), (AB_TEST, "aa")])
def test_what_is_neither_true_nor_false_is_not_taken_for_it(settings: type[Settings], key: str) -> None:
    for value in (1, "yes"):
        with pytest.raises(FedctrError, match=f"{key}: Input should be a valid boolean, found {value!r}"):
            settings.of({key: value})


# -------------------------------------------------------------------------------- a key in the wrong place


@pytest.mark.parametrize(
    ("settings", "told", "remedy"),
    [
        (EXPERIMENT, "[privacy]\nclipping_norm = 1", "'privacy'; privacy belongs in a file for fedctr train"),
        (EXPERIMENT, "rounds = 3", "'rounds'; rounds belongs in a file for fedctr train"),
        (EXPERIMENT, "[world]", "'world'; world belongs in a file for fedctr abtest"),
        (TRAINING, "[local]", "'local'; local belongs in a file for fedctr bench"),
        (TRAINING, "[cloud]", "'cloud'; cloud belongs in a file for fedctr bench or fedctr abtest"),
        (AB_TEST, "[split]", "'split'; split belongs in a file for fedctr bench or fedctr train"),
        (EXPERIMENT, "patience = 3", "'patience'; patience belongs in the table cloud"),
        (EXPERIMENT, "[cloud]\nmodel = 'lr'", "'cloud.model'; model belongs above all tables"),
        (EXPERIMENT, "[cloud]\ntest = 0.1", "'cloud.test'; test belongs in the table split"),
        (AB_TEST, "[cloud]\nrounds = 3", "'cloud.rounds'; known keys: learning_rate, weight_decay, batch_size, epo"),
    ],
)
def test_a_key_in_the_wrong_place_is_told_the_right_one(settings: type[Settings], told: str, remedy: str) -> None:
    with pytest.raises(FedctrError) as caught:
        settings.of(tomllib.loads(told), "file.toml")
    assert str(caught.value).startswith(f"file.toml: unknown key {remedy}")


def test_a_key_that_is_nearly_one_and_belongs_elsewhere_is_told_both() -> None:
    with pytest.raises(FedctrError) as caught:
        EXPERIMENT.of({"learning_rate": 0.1})
    assert str(caught.value) == (
        "experiment: unknown key 'learning_rate'; did you mean learning_rates? "
        "learning_rate belongs in the table cloud or in a file for fedctr train"
    )
