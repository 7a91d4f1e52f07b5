"""A simulated A/B test as its folder keeps it."""

from typing import TYPE_CHECKING, Any, ClassVar

from fedctr.block import Block, numbers_of
from fedctr.errors import FedctrError
from fedctr.folder import read_json
from fedctr.kept.run import Curve, SummarisedRun
from fedctr.online.table import block_of, caption_of

if TYPE_CHECKING:
    import pandas as pd


class ABTestRun(SummarisedRun):
    """What ``fedctr abtest`` has left."""

    kind: ClassVar[str] = "abtest"
    holds: ClassVar[tuple[str, ...]] = ("identity.json", "days")
    called: ClassVar[tuple[str, str]] = ("A/B test", "test")

    @property
    def dataset(self) -> str:
        """The kind of world that it was in."""
        return f"{self.config['world']['kind']} world"

    @staticmethod
    def _is_whole(summary: dict[str, Any]) -> bool:
        return "lifts" in summary

    @property
    def device_cost(self) -> dict[str, dict[str, Any]]:
        """The content of ``device_cost.json``: each arm's cost for its devices.

        Raises:
            FedctrError: when it cannot be read.
        """
        found = read_json(self.folder / "device_cost.json")
        if not isinstance(found, dict):
            raise FedctrError(f"{self.folder}/device_cost.json: cannot be read; start the test again to measure it")
        return found

    def frame(self, name: str) -> "pd.DataFrame":
        """The content of ``days.parquet`` or ``curve.parquet``."""
        import pandas as pd

        file = self.folder / f"{name}.parquet"
        try:
            return pd.read_parquet(file)
        except (OSError, ValueError) as error:
            raise FedctrError(f"{file}: cannot be read ({' '.join(str(error).split())})") from None

    def headline(self) -> str:
        """What it says of the arm that it is about."""
        if self.finished:
            from fedctr.online.words import headline  # takes SciPy

            return headline(self.summary)
        done = len(list((self.folder / "days").glob("day*")))
        days = sum(self.config[name] for name in ("warm_up_days", "pre_days", "days"))
        return f"not finished: {done} of {days} days"

    def figures(self) -> dict[str, float]:
        """Of each arm what it came to, and its lifts."""
        return {
            f"{row['arm']}/{name}": float(value)
            for row in self.rows()
            for name, value in row.items()
            if name != "arm" and value is not None
        }

    def curves(self) -> dict[str, Curve]:
        """Of each arm the CTR of every day of the test; of each comparison the lift of CTR up to it."""
        days, lifts = self.frame("days"), self.frame("curve")
        days, lifts = days[days["day"] >= 0], lifts[(lifts["metric"] == "ctr") & lifts["mean"].notna()]
        curves: dict[str, Curve] = {}
        for day, arm, ctr in zip(days["day"], days["arm"], days["ctr"], strict=True):
            curves.setdefault(f"CTR/{arm}", []).append((int(day), float(ctr)))
        for day, arm, baseline, lift in zip(*(lifts[key] for key in ("day", "arm", "baseline", "mean")), strict=True):
            curves.setdefault(f"lift of CTR/{arm} vs {baseline}", []).append((int(day), float(lift)))
        return curves

    def rows(self) -> list[dict[str, Any]]:
        """A row for each arm, with its lifts over every baseline."""
        rows = {name: {"arm": name, **numbers_of(entry)} for name, entry in self.summary["arms"].items()}
        for entry in self.summary["lifts"]:
            found = {name: value for name, value in entry.items() if name not in ("arm", "baseline")}
            rows[entry["arm"]] |= numbers_of(found, f"vs {entry['baseline']}.")
        return list(rows.values())

    def table(self) -> tuple[Block, str]:
        """The arms side by side."""
        return block_of(self.summary), caption_of(self.summary)
