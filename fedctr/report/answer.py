"""The answer at the top: does correction help here, for whom, and at what cost."""

from collections.abc import Mapping
from typing import Any

from fedctr.cost import Cost
from fedctr.counted import counted
from fedctr.kept.benchmark import BenchmarkRun
from fedctr.verdict import AGAINST, BASELINES, FEWEST, SAID, verdict

_GROUPS = {
    "by_drift": ("a drift of {} in size", "of any drift"),
    "by_local_samples": ("{} local samples", "with any number of local samples"),
}


def answer(run: BenchmarkRun) -> str:
    """The sentence by which the run is quoted, with its intervals."""
    spec = run.subject
    entry = run.strategies.get(spec or "", {})
    compared = _compared(spec, entry)
    if spec is None or not compared:
        return "Nothing was compared: the run has no other strategy beside a baseline, or no user has an AUC."
    found = [_against(key, interval) for key, interval in compared.items()]
    first = next(iter(compared.values()))
    seeds = first["seeds"]
    return f"{spec} {' and '.join(found)}, over {first['users']:,} users and {counted(seeds, 'seed')}."


def for_whom(run: BenchmarkRun) -> str:
    """Which groups of users gain or lose; as strong as their intervals, which are not corrected."""
    spec = run.subject
    interval = _compared(spec, run.strategies.get(spec or "", {})).get("vs_no_fine_tuning")
    if interval is None:
        return ""
    told = [said for key in _GROUPS for said in _moved(key, interval[key])]
    if not told:
        return (
            f"For whom: no group of at least {FEWEST} users, by drift or by number of local samples, is told apart "
            "from 0 by its interval."
        )
    return f"For whom: {'; '.join(told)} (intervals of groups are not corrected for their number)."


def _moved(key: str, groups: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """The groups that gain or lose; in one, where all do the same."""
    known = {
        name: group
        for name, group in groups.items()
        if group is not None and group["low"] is not None and group["users"] >= FEWEST
    }
    verbs = {
        name: "gain" if group["low"] > 0 else "lose"
        for name, group in known.items()
        if group["low"] > 0 or group["high"] < 0
    }
    one, everyone = _GROUPS[key]
    if len(verbs) == len(known) > 1 and len(set(verbs.values())) == 1:
        return [f"users {everyone} {next(iter(verbs.values()))}"]
    return [f"users with {one.format(name)} {verb} {difference_of(known[name])}" for name, verb in verbs.items()]


def at_what_cost(run: BenchmarkRun, cost: Cost | None) -> str:
    """What the strategy costs users and the machine."""
    spec = run.subject
    entry = run.strategies.get(spec or "", {})
    interval = _compared(spec, entry).get("vs_no_fine_tuning")
    told = []
    if interval is not None:
        loss = interval["log_loss_user_mean_difference"]
        told.append(f"it changes a user's log loss by {difference_of(loss)} on average (lower is better)")
    if entry.get("share_harmed") is not None:
        told.append(f"{entry['share_harmed']:.0%} of the users rank worse than without fine-tuning")
    if cost is not None:
        told.append(f"the whole run took {cost}")
    return f"At what cost: {'; '.join(told)}." if told else ""


def difference_of(interval: Mapping[str, Any]) -> str:
    """A mean with its limits, without the star of a corrected one."""
    if interval["mean"] is None:
        return "-"
    if interval["low"] is None:
        return f"{interval['mean']:+.4f}"
    return f"{interval['mean']:+.4f} [{interval['low']:+.4f}, {interval['high']:+.4f}]"


def _compared(spec: str | None, entry: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Baseline to the interval against it, where there are limits."""
    return {
        key: entry[key]
        for key, baseline in BASELINES.items()
        if spec != baseline and entry.get(key) is not None and verdict(entry[key]) is not None
    }


def _against(key: str, interval: Mapping[str, Any]) -> str:
    found = verdict(interval)
    assert found is not None  # _compared has left out the others
    weak = ", without correction for all comparisons" if found.startswith("perhaps") else ""
    return f"{SAID[found].format('user AUC')} against {AGAINST[key]} ({difference_of(interval)}{weak})"
