"""From what was measured to the tables and the headline ratios."""

import os
import platform
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from competitors import COMPETITORS, Competitor, Result, users_per_second
from operations import Operations

HEADER = (
    "| | cores | rounds | seconds | CPU seconds | users/s | per core | of the floor | fedctr is faster | per core |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Measured:
    """The raw numbers for one model.

    Attributes:
        model: its name.
        operations: floating-point operations per user.
        sgemm: rates of matrix products on one thread, operations a second, one for each round.
        narrow: likewise, with each product at the rate of its shape; empty for a model without narrow ones.
        results: of each competitor, by name, one for each of its rounds.
    """

    model: str
    operations: Operations
    sgemm: list[float] = field(default_factory=list)
    narrow: list[float] = field(default_factory=list)
    results: dict[str, list[Result]] = field(default_factory=dict)

    @property
    def floor(self) -> float | None:
        """Users a second that one core could do at best; None for a model without matrix products."""
        return self.operations.users_per_second(median(self.sgemm))

    @property
    def narrow_floor(self) -> float | None:
        """The same with each product at the rate of its shape; None for a model without narrow ones."""
        return self.operations.users_per_second(median(self.narrow)) if self.narrow else None

    def median(self, name: str, key: str) -> float | None:
        """One competitor's median of something that it reports; None where it does not."""
        values = [result[key] for result in self.results.get(name, []) if key in result]
        return median(values) if values else None

    def rate(self, name: str) -> float | None:
        """One competitor's users a second, the median of its rounds; None if it did not run."""
        return median(map(users_per_second, self.results[name])) if name in self.results else None

    def ratios(self) -> dict[str, float | None]:
        """How many times as fast fedctr is, with equally many cores on both sides, and how near to the floor."""
        engine, through_flower = self.rate("ours"), self.rate("ours-flower")
        return {
            "vs_flower": _ratio(through_flower, self.rate("flower")),
            "vs_loop": _ratio(engine, self.rate("loop")),
            "vs_pfl": _ratio(engine, self.rate("pfl")),
            "floor_share": _ratio(engine, self.floor),
            "narrow_floor_share": _ratio(engine, self.narrow_floor),
        }

    def table(self) -> str:
        """Medians, as Markdown."""
        rows = [self._row(competitor) for competitor in COMPETITORS if competitor.name in self.results]
        if self.floor is not None:
            rows.append(_cells("floor", "1", "", "", "", f"{self.floor:,.0f}", f"{self.floor:,.0f}", "100 %", "", ""))
        return HEADER + "".join(rows)

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
            "" if self.floor is None else f"{per_core / self.floor:.1%}".replace("%", " %"),
            "" if is_ours else _times(_ratio(rival, rate)),
            "" if is_ours else _times(_ratio(self.rate("ours"), per_core)),
        )

    def section(self) -> str:
        """The model's part of the page."""
        if self.floor is None:
            floor = "No floor: this model multiplies no matrices."
        else:
            operations = self.operations.products + self.operations.additions
            floor = (
                f"Floor: {operations / 1e6:.2f} million floating-point operations per user, at "
                f"{median(self.sgemm) / 1e9:.0f} GFLOP/s."
            )
        if self.narrow_floor is not None:
            share = (self.rate("ours") or 0.0) / self.narrow_floor
            floor += (
                " With each product at the rate that PyTorch reaches on matrices as narrow as its own, "
                f"{median(self.narrow) / 1e9:.0f} GFLOP/s on the whole, it is {self.narrow_floor:,.0f} users/s, of "
                f"which fedctr's engine does {share:.0%}."
            )
        return f"## `{self.model}`\n\n{self.table()}\n{floor}\n"

    def facts(self) -> dict[str, Any]:
        """Everything, for results.json."""
        floor = {
            "sgemm_flops": self.sgemm,
            "narrow_flops": self.narrow,
            "operations_per_user": {
                "products": self.operations.products,
                "additions": self.operations.additions,
            },
            "users_per_second": self.floor,
        }
        return {**self.ratios(), "floor": floor, "rounds": self.results}


def headline(models: list[Measured]) -> dict[str, Any]:
    """The ratios of the first model, and of every model by its name."""
    return {**models[0].ratios(), "models": {each.model: each.ratios() for each in models}}


def facts(models: list[Measured]) -> dict[str, Any]:
    """Everything, for results.json."""
    return {**models[0].ratios(), "machine": machine(), "models": {each.model: each.facts() for each in models}}


def page(models: list[Measured], dataset: str) -> str:
    """The whole page of results."""
    versions = {pair for each in models for results in each.results.values() for pair in results[0]["versions"].items()}
    return (
        f"# Personalisation\n\n{models[0].results['loop'][0]['users']} users of `{dataset}`. Medians of "
        f"{date.today():%-d %B %Y}. What is equal and what is not, and what the floor is, says the "
        "[README](../README.md).\n\n"
        + "".join(f"{each.section()}\n" for each in models)
        + f"{machine()}; {', '.join(f'{name} {version}' for name, version in sorted(versions))}.\n"
    )


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
