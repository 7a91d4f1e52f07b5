"""How a run was made: its configuration, versions, time and memory, and what failed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedctr.cost import Cost
from fedctr.report.page import Listing, Section, Table, Text, number, words

_TITLE = "How it was made"


def making(folder: Path, cost: Cost | None, versions: Mapping[str, Any], again: str) -> Section:
    """What somebody needs to repeat a run.

    Args:
        folder: of the run, with ``config.toml``.
        cost: what it took; None where that is not known.
        versions: package to version.
        again: how to repeat it.
    """
    taken = [_time_and_memory(cost)] if cost else []
    told = Text(f"Run folder {folder}. {again}")
    return Section(_TITLE, (told, *_configuration(folder), *taken, _versions(versions)))


def of_many(folder: Path, cost: Cost | None, versions: Mapping[str, Any]) -> Section:
    """What somebody needs to repeat a grid, and what its experiments took.

    Args:
        folder: of the grid, with ``config.toml``.
        cost: of all its experiments; None where that is not known.
        versions: package to version.
    """
    taken = f" Its experiments took {cost}." if cost else ""
    told = Text(
        f"Folder {folder}; each experiment has its own below it.{taken} fedctr bench config.toml --out ANOTHER repeats "
        "them all."
    )
    return Section(_TITLE, (told, *_configuration(folder), _versions(versions)))


def failures(found: list[Mapping[str, Any]]) -> Section | None:
    """Clients that failed; None where none did."""
    if not found:
        return None
    keys = list(dict.fromkeys(key for failure in found for key in failure))
    rows = tuple(words(*(failure.get(key, "") for key in keys)) for failure in found)
    return Section("What failed", (Table("Clients that could not do a task", tuple(keys), rows),))


def _configuration(folder: Path) -> tuple[Listing, ...]:
    """The content of ``config.toml``; nothing where there is none, as in grids that were run before it was kept."""
    file = folder / "config.toml"
    return (Listing(file.name, file.read_text(encoding="utf-8")),) if file.is_file() else ()


def _versions(versions: Mapping[str, Any]) -> Table:
    return Table("Versions", ("package", "version"), tuple(words(*pair) for pair in versions.items()))


def _minute(moment: str) -> str:
    """A time as people write it."""
    return moment[:16].replace("T", " ")


def _time_and_memory(cost: Cost) -> Table:
    return Table(
        "Time and memory",
        ("begun", "seconds", "peak memory, GB"),
        tuple(
            (*words(_minute(each.begun)), number(each.seconds, ",.1f"), number(each.peak_bytes / 1e9, ".2f"))
            for each in cost.sittings
        ),
        note="A line for each start of the run. Memory is that of all processes together.",
    )
