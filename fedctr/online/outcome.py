"""From daily rows to the numbers that an A/B test is quoted by."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from fedctr.folder import write_whole
from fedctr.online.analysis import analyse, by_day, curves, figures
from fedctr.online.bill import Bill, bill, without_time
from fedctr.online.bill_table import render_bill
from fedctr.online.run import OnlineRun
from fedctr.online.table import render
from fedctr.online.words import conclusion
from fedctr.versions import versions


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an A/B test came to.

    Attributes:
        summary: the content of ``summary.json``.
        daily: the content of ``daily.parquet``.
        bill: the content of ``device_cost.json``.
        folder: the run folder.
    """

    summary: dict[str, Any]
    daily: pd.DataFrame
    bill: Bill
    folder: Path

    def table(self) -> str:
        """The arms side by side, as text."""
        return f"{render(self.summary)}\n{render_bill(self.bill)}"

    def conclusion(self) -> list[str]:
        """What the test says, in sentences."""
        return conclusion(self.summary)


def conclude(run: OnlineRun) -> Outcome:
    """Gather the days into ``daily.parquet``, and what they say into ``summary.json`` and two tables.

    ``days.parquet`` has what each arm was shown and clicked on each day (:func:`fedctr.online.analysis.by_day`), and
    ``curve.parquet`` the lifts as they stood at the end of it (:func:`fedctr.online.analysis.curves`).
    """
    settings, daily = run.settings, run.daily()
    costs = bill(run, daily)
    summary = {
        "world": settings.world.kind,
        "model": settings.model,
        "fit": run.fit,
        "users": run.dataset.users,
        "days": settings.days,
        "aa": settings.aa,
        "seed": settings.seed,
        "control": settings.control.name,
        "arms": {arm.name: figures(daily, arm.name) for arm in settings.arms},
        **analyse(daily, [arm.name for arm in settings.arms], settings.pairs),
        "device_cost": without_time(costs),
        "versions": versions(),
    }
    for name, rows in (("daily", daily), ("days", by_day(daily)), ("curve", curves(daily, settings.pairs))):
        write_whole(run.folder / f"{name}.parquet", partial(rows.to_parquet, index=False))
    text = json.dumps(summary, indent=1, allow_nan=False) + "\n"
    write_whole(run.folder / "summary.json", lambda file: file.write_text(text))
    return Outcome(summary, daily, costs, run.folder)
