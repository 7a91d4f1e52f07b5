"""``fedctr.toml``: which file and which columns of somebody's own log are what."""

import tomllib
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)

from fedctr.errors import FedctrError, did_you_mean

FILE = "fedctr.toml"
Unit = Literal["seconds", "milliseconds", "iso"]


def _bare(name: str) -> str:
    if not name or Path(name).name != name:
        raise ValueError("expected the bare name of a file that lies beside this one")
    return name


FileName = Annotated[str, AfterValidator(_bare)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Feature(_Strict):
    """How the texts of a column become codes; without either key, equal texts are one category.

    Attributes:
        separator: stands between the values of a row that has several.
        buckets: cut the numbers of the column at their quantiles, into so many.
    """

    separator: str | None = Field(default=None, min_length=1)
    buckets: StrictInt | None = Field(default=None, ge=2, le=10_000)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if isinstance(value, str) and value != "category":
            raise ValueError('expected "category", { separator = "|" } or { buckets = 10 }')
        return {} if value == "category" else value

    @model_validator(mode="after")
    def _one_kind(self) -> "Feature":
        if self.separator is not None and self.buckets is not None:
            raise ValueError("a column has a separator or buckets, not both")
        return self


class Side(_Strict):
    """What describes users, or items.

    Attributes:
        file: of one row for each; None when the columns stand in the samples.
        id: its column of ids; None when it is called as in the samples.
        columns: column name to feature.
    """

    file: FileName | None = None
    id: str | None = None
    columns: dict[str, Feature] = {}

    @model_validator(mode="after")
    def _whole(self) -> "Side":
        if self.file is None and self.id is not None:
            raise ValueError("an id is for a file; name the file, or leave out the id")
        if self.file is not None and not self.columns:
            raise ValueError("a file is for its columns; name some, or leave out the file")
        return self


class Mapping(_Strict):
    """The whole file.

    Attributes:
        samples: the file of impressions; may be left out beside a single file.
        user: column of user ids, any text.
        item: column of item ids, any text.
        time: column of times.
        time_unit: ``seconds`` or ``milliseconds`` since 1970, whole numbers, or ``iso`` for ISO 8601, such as
            ``2026-11-25T08:00:00+08:00``; without an offset it is UTC.
        label: column of labels: 0 or 1, true or false.
        positive_from: the label is a rating, and a positive from here on.
        separator: between the fields of csv files.
        users: describes users.
        items: describes items.
    """

    samples: FileName | None = None
    user: str
    item: str
    time: str
    time_unit: Unit = "seconds"
    label: str
    positive_from: float | None = None
    separator: str = ","
    users: Side = Side()
    items: Side = Side()

    @field_validator("positive_from", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        if type(value) not in (int, float) or not isfinite(value):  # type: ignore[arg-type]
            raise ValueError("expected a number")
        return value

    @field_validator("separator", mode="before")
    @classmethod
    def _character(cls, value: object) -> object:
        if not isinstance(value, str) or len(value) != 1 or value in '"\r\n\x1f\0':
            raise ValueError("expected one character, and neither a quote nor a line end")
        return value

    @model_validator(mode="after")
    def _columns_of_their_own(self) -> "Mapping":
        columns: dict[str, str] = {}
        for role in ("user", "item", "time", "label"):
            column = getattr(self, role)
            if column in columns:
                raise ValueError(f"{columns[column]} and {role} are both the column {column!r}; name another for one")
            columns[column] = role
        for side in ("users", "items"):
            described = getattr(self, side)
            if described.file is None and self.label in described.columns:
                raise ValueError(f"{side}.columns: {self.label!r} is the label, which is no feature; leave it out")
        return self

    @classmethod
    def parse(cls, content: bytes, where: str) -> "Mapping":
        """Check the content of a mapping file; ``where`` names it in errors.

        Raises:
            FedctrError: for the first fault, with file, key, and the nearest key or what was expected.
        """
        try:
            return cls.model_validate(tomllib.loads(content.decode("utf-8-sig")))
        except UnicodeDecodeError as error:
            raise FedctrError(f"{where}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
        except tomllib.TOMLDecodeError as error:
            raise FedctrError(f"{where}: not TOML: {error}") from error
        except ValidationError as error:
            raise FedctrError(f"{where}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    fault = error.errors()[0]
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f'it lacks the key {key!r}; add a line such as {key} = "the name of a column"'
    if fault["type"] == "extra_forbidden":
        known = _keys(fault["loc"][:-1])
        hint = did_you_mean(str(fault["loc"][-1]), known) or f"known keys: {', '.join(known)}"
        return f"unknown key {key!r}; {hint}"
    is_table = fault["type"] in ("model_type", "dict_type")
    message = "expected a table" if is_table else fault["msg"].removeprefix("Value error, ")
    return f"{key}: {message}, found {_short(fault['input'])}" if key else message


def _keys(place: tuple[int | str, ...]) -> list[str]:
    """The keys that are known in a table of the file: the whole, users, or users.columns.age."""
    models: dict[int, type[BaseModel]] = {0: Mapping, 1: Side, 3: Feature}
    return list(models[len(place)].model_fields)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
