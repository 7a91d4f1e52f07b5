"""Settings that a TOML file and Python describe in the same words; the command line has some of them as options."""

import dataclasses
import pkgutil
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from fedctr.errors import NEAR, SLIP, FedctrError, did_you_mean

# Every class of settings, by name since their modules import this one.
FILES = ("fedctr.config:Experiment", "fedctr.federated.settings:Training", "fedctr.online.settings:ABTest")


class Settings(BaseModel):
    """Checked keys and values.

    Attributes:
        command: what takes a file of these settings.
        tables: for each table of a file the forms that it may have, by what tells one from the others, such as
            ``unit = "days"``; of a single form nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: ClassVar[str] = ""
    tables: ClassVar[Mapping[str, Mapping[str, type]]] = {}

    @classmethod
    def of(cls, values: Mapping[str, Any], where: str = "") -> Self:
        """Check keys and values.

        Args:
            values: keys as in a file.
            where: names the source in errors; the settings themselves if empty.

        Raises:
            FedctrError: for the first wrong key or value, with the nearest key or what was expected.
        """
        where = where or cls.__name__.lower()
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise FedctrError(f"{where}: {first_fault(error, cls)}") from None
        except FedctrError as error:
            raise FedctrError(f"{where}: {error}") from None

    @classmethod
    def read(cls, file: Path) -> dict[str, Any]:
        """The keys and values of a file.

        Raises:
            FedctrError: when it cannot be read, or is not TOML.
        """
        try:
            return tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise FedctrError(f"{file}: cannot be read ({error})") from None
        except tomllib.TOMLDecodeError as error:
            raise FedctrError(f"{file}: not TOML: {error}") from None

    def to_toml(self) -> str:
        """The resolved configuration, every default spelt out."""
        return tomli_w.dumps(self._resolved().model_dump(mode="json", exclude_none=True))

    def _resolved(self) -> Self:
        return self


def form_by(key: str, usual: str) -> Callable[[object], str]:
    """Tells which form a table has by one of its keys, which may be left out of the usual form."""

    def form(table: object) -> str:
        return str(table.get(key, usual) if isinstance(table, Mapping) else getattr(table, key, usual))

    return form


def first_fault(error: ValidationError, settings: type[Settings]) -> str:
    """The first fault in one line.

    Args:
        error: what checking the settings raised.
        settings: their class, whose keys may have been meant.
    """
    fault = error.errors()[0]
    table, *inner = (str(part) for part in fault["loc"])
    forms = settings.tables.get(table, {})
    if len(forms) > 1:
        inner = inner[1:]  # which form was read
    key = ".".join([table, *inner])
    if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        remedy = _remedy(inner[-1], table, settings) if inner else _remedy(table, "", settings)
        return f"unknown key {key!r}; {remedy}"
    message = "expected a table" if fault["type"] == "dataclass_type" else fault["msg"].removeprefix("Value error, ")
    found = "" if fault["type"] == "value_error" else f", found {fault['input']!r}"
    return f"{key}: {message}{found}"


def _remedy(key: str, table: str, settings: type[Settings]) -> str:
    """What may have been meant by a key that a table, or with an empty name the file itself, does not have."""
    known = {"": list(settings.model_fields)}
    if table:
        known = {told: _keys(form) for told, form in settings.tables[table].items()}
    places = _places(key, table, settings)
    others = {name for names in known.values() for name in names if name != key}
    near = did_you_mean(key, others, SLIP if places else NEAR)
    hints = [near] if near else []
    if places:
        hints.append(f"{key} belongs {' or '.join(places)}")
    elif not near or len(known) > 1:
        first, *rest = known
        told = ", ".join(known[first]) + "".join(f", or with {other}: {', '.join(known[other])}" for other in rest)
        hints.append(f"known keys: {told}")
    return " ".join(hints)


def _places(key: str, table: str, settings: type[Settings]) -> list[str]:
    """Where a key would be known: elsewhere in the same file, or in that of another command."""
    above = ["above all tables"] if table and key in settings.model_fields else []
    tables = [
        f"in the table {other}"
        for other, forms in settings.tables.items()
        if other != table and any(key in _keys(form) for form in forms.values())
    ]
    files: list[type[Settings]] = [] if table else [pkgutil.resolve_name(file) for file in FILES]
    commands = [file.command for file in files if key in file.model_fields]
    return above + tables + ([f"in a file for {' or '.join(commands)}"] if commands else [])


def _keys(form: type) -> list[str]:
    return [field.name for field in dataclasses.fields(form)]
