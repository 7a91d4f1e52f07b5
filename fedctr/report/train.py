"""The report of federated training."""

from collections.abc import Mapping
from typing import Any

from fedctr.cost import Cost
from fedctr.counted import counted
from fedctr.errors import FedctrError
from fedctr.folder import read_json
from fedctr.kept.training import FederatedRun
from fedctr.protocol import falls_short
from fedctr.report import making
from fedctr.report.curves import training
from fedctr.report.page import Report, Section, Table, Text, number

_AUC = {
    "validation_auc": "validation",
    "cloud_validation_auc": "validation, cloud",
    "test_auc": "test",
    "cloud_test_auc": "test, cloud",
}
_COUNTED = {"users": "users a round", "dropped": "dropped", "slow": "slow", "diverged": "diverged"}


def of_training(run: FederatedRun) -> Report:
    """What a federated training came to, finished or not.

    Raises:
        FedctrError: when a file is damaged.
    """
    folder, config = run.folder, run.config
    try:
        rounds = run.rounds.rename(columns={"round": "number"})
        rows = [dict(zip(rounds.columns, row, strict=True)) for row in rounds.itertuples(index=False)]
        curves = {seed: [row for row in rows if row["seed"] == seed] for seed in rounds["seed"].unique().tolist()}
        best = {
            seed: min(curve[1:] or curve, key=lambda row: falls_short(row, run.best_by))
            for seed, curve in curves.items()
        }
    except KeyError as error:
        raise FedctrError(f"{folder}/rounds.csv: damaged, there is no column {error}") from None
    said = " ".join(_told(seed, curves[seed], row, config["rounds"]) for seed, row in best.items())
    identity = read_json(folder / "identity.json") or {}
    seeds = config["seeds"]
    over = " over the holders of a row" if config.get("averaging") == "holders" else ""
    return Report(
        title=f"{config['model']} on {config['dataset']}, trained by rounds",
        facts=f"{config['aggregation']}{over}, local steps by {config['strategy']}, {config['rounds']:,} rounds, "
        f"{counted(seeds, 'seed')}",
        origin=str(folder),
        answer=said,
        sections=(
            Section(
                "How far did it come?",
                (Text(said, lead=True), training(curves, {seed: row["number"] for seed, row in best.items()}, "round")),
            ),
            *_beside_cloud(run),
            Section("Who took part", (_participation(curves),)),
            making.making(
                folder,
                Cost.of(folder),
                identity.get("versions", {}),
                "fedctr train config.toml --out ANOTHER repeats it; fedctr bench --published takes its models.",
            ),
        ),
    )


def _told(seed: int, curve: list[dict[str, Any]], best: Mapping[str, Any], rounds: int) -> str:
    first, last = curve[0], curve[-1]
    stopped = "" if last["number"] >= rounds else f" It was stopped after round {last['number']:.0f}."
    return (
        f"Seed {seed}: round {best['number']:.0f} of {rounds} is the best, validation log loss {best['log_loss']:.4f} "
        f"and AUC {best['auc']:.4f}, from {first['log_loss']:.4f} and {first['auc']:.4f} before the first.{stopped}"
    )


def _beside_cloud(run: FederatedRun) -> tuple[Section, ...]:
    """What was published beside the cloud's model; nothing where none was trained."""
    rows = read_json(run.folder / "beside-cloud.json")
    if not isinstance(rows, list):
        return ()
    table = Table(
        "AUC of all samples together",
        ("seed", *_AUC.values(), "near from round"),
        tuple(
            (number(row["seed"], "d"), *(number(row[name]) for name in _AUC), number(row["near"], "d")) for row in rows
        ),
        note="Near: the AUC on validation is within 0.01 of that of the model trained in the cloud.",
    )
    return (Section("How near is it to training in the cloud?", (table,)),)


def _participation(curves: Mapping[int, list[dict[str, Any]]]) -> Table:
    """Means over the rounds."""
    return Table(
        "Users in a round, mean over the rounds",
        ("seed", "rounds", *_COUNTED.values()),
        tuple(
            (
                number(seed, "d"),
                number(len(curve) - 1, ",d"),
                *(number(sum(row[key] for row in curve[1:]) / max(len(curve) - 1, 1), ",.1f") for key in _COUNTED),
            )
            for seed, curve in curves.items()
        ),
        note="Users: those whose change entered the model. Dropped: sampled, but they never replied. Slow: they got "
        "through one epoch only. Diverged: their change was not finite, and was left out.",
    )
