"""A grid of experiments as its folder keeps it."""

import csv
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

from fedctr.errors import FedctrError
from fedctr.kept.run import Form, KeptRun, modified
from fedctr.verdict import VERDICTS, subject_of, verdict

_FILES: dict[Form, str] = {"csv": "table.csv", "markdown": "table.md", "latex": "table.tex"}


class GridRun(KeptRun):
    """What ``fedctr bench`` has left of a file with axes, once it has gone through it."""

    kind: ClassVar[str] = "grid"
    holds: ClassVar[tuple[str, ...]] = ("table.csv", "table.md", "table.tex")

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The content of ``table.csv``: a row for each experiment and strategy, all values as text."""
        file = self.folder / "table.csv"
        try:
            with file.open(encoding="utf-8", newline="") as lines:
                rows = list(csv.DictReader(lines))
        except (OSError, ValueError) as error:
            raise FedctrError(f"{file}: cannot be read ({error})") from None
        if not rows or not {"folder", "status", "dataset", "model"} <= rows[0].keys():
            raise FedctrError(f"{file}: damaged; start the grid again with --out {self.folder}")
        return rows

    @property
    def dataset(self) -> str:
        """All its data sets."""
        return self._all("dataset")

    @property
    def model(self) -> str:
        """All its models."""
        return self._all("model")

    @property
    def date(self) -> datetime:
        """When its tables were written."""
        return modified(self.folder / "table.csv")

    @property
    def finished(self) -> bool:
        """Whether every experiment was run to the end."""
        return self._outcomes().keys() == {"done"}

    def headline(self) -> str:
        """How many experiments came to what, and in how many of them the strategy that they are about is told apart."""
        outcomes = self._outcomes()
        told = ", ".join(f"{outcomes[status]} {status}" for status in ("done", "failed", "skipped") if outcomes[status])
        subject = subject_of(list(dict.fromkeys(row["strategy"] for row in self.rows)))
        found = Counter(
            judged
            for row in self.rows
            if row["strategy"] == subject and (judged := verdict(_limits(row, "vs_no_fine_tuning")))
        )
        counts = ", ".join(f"{each} in {found[each]}" for each in VERDICTS if found[each])
        return f"experiments: {told}" + (f"; {subject} against no-fine-tuning: {counts}" if counts else "")

    def export(self, form: Form) -> str:
        """The tables that it has written itself."""
        file = self.folder / _FILES[form]
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise FedctrError(f"{file}: cannot be read ({error})") from None

    def _outcomes(self) -> Counter[str]:
        """Number of experiments by status; one with a strategy that failed has failed."""
        status: dict[str, str] = {}
        for row in self.rows:
            before = status.get(row["folder"], "done")
            status[row["folder"]] = row["status"] if before == "done" else before
        return Counter(status.values())

    def _all(self, key: str) -> str:
        return ", ".join(dict.fromkeys(row[key] for row in self.rows))


def _limits(row: Mapping[str, Any], key: str) -> dict[str, float | None]:
    """The limits of a difference; None where a row has none."""
    limits = ("low", "high", "corrected_low", "corrected_high")
    return {limit: float(row[f"{key}.{limit}"]) if row.get(f"{key}.{limit}") else None for limit in limits}
