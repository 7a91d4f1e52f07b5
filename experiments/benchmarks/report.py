"""From what was measured to the table and the headline ratios."""

import os
import platform
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from competitors import COMPETITORS, Competitor, Result, users_per_second

HEADER = (
    "| | cores | rounds | seconds | CPU seconds | users/s | per core | of the floor | fedctr is faster | per core |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Measured:
    """A benchmark's raw numbers.

    Attributes:
        operations: floating-point operations per user.
        sgemm: rates of matrix products on one thread, operations a second, one for each round.
        results: of each competitor, by name, one for each of its rounds.
    """

    operations: float
    sgemm: list[float] = field(default_factory=list)
    results: dict[str, list[Result]] = field(default_factory=dict)

    @property
    def floor(self) -> float:
        """Users a second that one core could do at best."""
        return median(self.sgemm) / self.operations

    def median(self, name: str, key: str) -> float | None:
        """One competitor's median of something that it reports; None where it does not."""
        values = [result[key] for result in self.results.get(name, []) if key in result]
        return median(values) if values else None

    def rate(self, name: str) -> float | None:
        """One competitor's users a second, the median of its rounds; None if it did not run."""
        return median(map(users_per_second, self.results[name])) if name in self.results else None

    def headline(self) -> dict[str, float | None]:
        """How many times as fast fedctr is, with equally many cores on both sides, and how near to the floor."""
        engine, through_flower = self.rate("ours"), self.rate("ours-flower")
        return {
            "vs_flower": _ratio(through_flower, self.rate("flower")),
            "vs_loop": _ratio(engine, self.rate("loop")),
            "vs_pfl": _ratio(engine, self.rate("pfl")),
            "floor_share": _ratio(engine, self.floor),
        }

    def table(self) -> str:
        """Medians, as Markdown."""
        rows = [self._row(competitor) for competitor in COMPETITORS if competitor.name in self.results]
        floor = _cells("floor", "1", "", "", "", f"{self.floor:,.0f}", f"{self.floor:,.0f}", "100 %", "", "")
        return HEADER + "".join(rows) + floor

    def _row(self, competitor: Competitor) -> str:
        name = competitor.name
        cores: int = self.results[name][0]["cores"]
        rate = self.rate(name) or 0.0
        per_core = rate / cores
        rival = self.rate("ours" if cores == 1 else "ours-flower")
        cpu, startup = self.median(name, "cpu_seconds"), self.median(name, "startup_seconds")
        seconds = f"{self.median(name, 'seconds'):.2f}"
        is_ours = competitor.folder == "ours"
        return _cells(
            competitor.title,
            str(cores),
            str(len(self.results[name])),
            seconds if startup is None else f"{seconds} (+ {startup:.0f} to start)",
            "" if cpu is None else f"{cpu:.2f}",
            f"{rate:,.0f}",
            f"{per_core:,.0f}",
            f"{per_core / self.floor:.1%}".replace("%", " %"),
            "" if is_ours else _times(_ratio(rival, rate)),
            "" if is_ours else _times(_ratio(self.rate("ours"), per_core)),
        )

    def page(self, what: str) -> str:
        """The whole page of results."""
        versions = {pair for results in self.results.values() for pair in results[0]["versions"].items()}
        return (
            f"# Personalisation\n\n{what}. Medians of {date.today():%-d %B %Y}. What is equal and what is not, and "
            f"what the floor is, says the [README](../README.md).\n\n{self.table()}\n"
            f"Floor: {self.operations / 1e6:.2f} million floating-point operations per user, at "
            f"{median(self.sgemm) / 1e9:.0f} GFLOP/s. {machine()}; "
            f"{', '.join(f'{name} {version}' for name, version in sorted(versions))}.\n"
        )

    def facts(self) -> dict[str, Any]:
        """Everything, for results.json."""
        floor = {"sgemm_flops": self.sgemm, "operations_per_user": self.operations, "users_per_second": self.floor}
        return {**self.headline(), "machine": machine(), "floor": floor, "rounds": self.results}


def machine() -> str:
    """What it ran on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return f"{platform.system()}, {model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _ratio(mine: float | None, theirs: float | None) -> float | None:
    return mine / theirs if mine is not None and theirs is not None else None


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1f} x"


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"
