"""The report of a benchmark."""

from fedctr.cost import Cost
from fedctr.counted import counted
from fedctr.kept.benchmark import BenchmarkRun
from fedctr.report import calibration, curves, groups, making, strategies, users
from fedctr.report.answer import answer, at_what_cost, for_whom
from fedctr.report.page import Report, Section, Text

_NEEDED = ("auc", "samples", "positives", "predicted_clicks", "local_samples", "local_positives")


def of_bench(run: BenchmarkRun) -> Report:
    """What a benchmark found.

    Raises:
        FedctrError: when it is not finished, or damaged.
    """
    folder = run.folder
    rows = run.test_rows(_NEEDED)
    cost, summary = Cost.of(folder), run.summary
    told = [Text(answer(run), lead=True), Text(for_whom(run)), Text(at_what_cost(run, cost))]
    spec = run.subject
    sections = [
        Section("Does it help?", tuple(each for each in told if each.text)),
        making.failures(summary["failures"]),
        strategies.compared(run, rows),
        groups.gains(run),
        calibration.calibration(run, rows),
        users.extremes(rows, spec, summary["global_ctr"]) if spec else None,
        curves.tuning(run),
        making.making(folder, cost, summary["versions"], "fedctr bench config.toml --out ANOTHER repeats it."),
    ]
    seeds = summary["seeds"]
    return Report(
        title=f"{summary['model']} on {summary['dataset']}",
        facts=f"{summary['users']:,} users, global CTR {summary['global_ctr']:.3f}, {counted(seeds, 'seed')}",
        origin=str(folder),
        answer=answer(run),
        sections=tuple(section for section in sections if section),
    )
