"""How a run was made: its configuration, versions, time and memory, and what failed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedctr.cost import Cost
from fedctr.report.page import Listing, Section, Table, Text, number, words


def making(folder: Path, cost: Cost | None, versions: Mapping[str, Any], again: str) -> Section:
    """What somebody needs to repeat it.

    Args:
        folder: of the run, with ``config.toml``.
        cost: what it took; None where that is not known.
        versions: package to version.
        again: how to repeat it.
    """
    config = folder / "config.toml"
    tables = [Table("Versions", ("package", "version"), tuple(words(*pair) for pair in versions.items()))]
    if cost is not None:
        tables.append(
            Table(
                "Time and memory",
                ("begun", "seconds", "peak memory, GB"),
                tuple(
                    (*words(each.begun), number(each.seconds, ",.1f"), number(each.peak_bytes / 1e9, ".2f"))
                    for each in cost.sittings
                ),
                note="A line for each start of the run. Memory is that of all processes together.",
            )
        )
    return Section(
        "How it was made",
        (
            Text(f"Run folder {folder}. {again}"),
            Listing("config.toml", config.read_text(encoding="utf-8") if config.is_file() else ""),
            *tables,
        ),
    )


def failures(found: list[Mapping[str, Any]]) -> Section | None:
    """Clients that failed; None where none did."""
    if not found:
        return None
    keys = list(dict.fromkeys(key for failure in found for key in failure))
    rows = tuple(words(*(failure.get(key, "") for key in keys)) for failure in found)
    return Section("What failed", (Table("Clients that could not do a task", tuple(keys), rows),))
