"""Curves: what validation chose from, and how the global model was trained."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fedctr.kept.benchmark import BenchmarkRun
from fedctr.palette import SERIES
from fedctr.report.drawing import INK, NARROW, PAPER, stack, tidy
from fedctr.report.page import Figure, Section, Table, number, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_PANEL = 1.0  # inches for each strategy
_MOST_LINES = len(SERIES)

Curve = Sequence[Mapping[str, Any]]  # a row for each epoch or round: its number and what was measured


def tuning(run: BenchmarkRun) -> Section | None:
    """What validation chose from, and how the global model was trained; None where neither is kept."""
    figures = tuple(figure for figure in (_choice(run), _global_model(run)) if figure)
    return Section("How it was tuned and trained", figures) if figures else None


def _choice(run: BenchmarkRun) -> Figure | None:
    """User AUC on validation of every learning rate and number of epochs; None where there was nothing to choose."""
    tried = {spec: entry for spec, entry in run.strategies.items() if len(entry["validation"]) > 1}
    if not tried:
        return None
    rates, epochs = (
        sorted({trial[key] for entry in tried.values() for trial in entry["validation"]})
        for key in ("learning_rate", "epochs")
    )
    along, across = ("learning_rate", "epochs") if len(rates) > 1 else ("epochs", "learning_rate")
    lines = epochs if across == "epochs" else rates
    said = {"learning_rate": "learning rate", "epochs": "epochs"}

    def draw(canvas: "Canvas") -> None:
        panels = stack(canvas, list(tried), "user AUC on validation", above=0.3)
        for panel, entry in zip(panels, tried.values(), strict=True):
            for place, value in enumerate(lines):
                colour, mark = SERIES[place % _MOST_LINES]
                mine = sorted(
                    (trial[along], trial["auc_user_mean"])
                    for trial in entry["validation"]
                    if trial[across] == value and trial["auc_user_mean"] is not None
                )
                panel.plot(*zip(*mine, strict=True) if mine else ([], []), marker=mark, color=colour, ms=4.5, lw=1.5)
            chosen = next((each for each in entry["validation"] if _is_chosen(each, entry)), None)
            if chosen is not None:
                panel.plot(chosen[along], chosen["auc_user_mean"], "o", mfc="none", mec=INK, ms=10, mew=1.3)
            panel.margins(y=0.15)
            panel.locator_params(axis="y", nbins=4)
        places = rates if along == "learning_rate" else epochs
        if along == "learning_rate":
            panels[-1].set_xscale("log")
        panels[-1].set_xticks(places, [f"{place:g}" for place in places])
        panels[-1].minorticks_off()
        panels[-1].set_xlabel(f"{said[along]} of fine-tuning")
        for place, value in enumerate(lines):
            colour, mark = SERIES[place % _MOST_LINES]
            label = f"{said[across]}: {value:g}"
            panels[0].plot([], [], marker=mark, color=colour, label=label)
        canvas.legend(loc="upper left", ncols=4, frameon=False, labelcolor=INK, borderaxespad=0.1, columnspacing=1)

    return Figure(
        name="choice",
        title="Learning rate and epochs",
        caption="User AUC on validation by learning rate and epochs of fine-tuning, mean over seeds; ringed: what was "
        "chosen.",
        size=(NARROW, 1.0 + _PANEL * len(tried)),
        draw=draw,
        numbers=Table(
            "User AUC on validation",
            ("strategy", "learning rate", "epochs", "user AUC", "diverged", "chosen"),
            tuple(
                (
                    *words(spec),
                    number(trial["learning_rate"], "g"),
                    number(trial["epochs"], "d"),
                    number(trial["auc_user_mean"]),
                    number(trial["diverged"], ",d"),
                    *words("yes" if _is_chosen(trial, entry) else ""),
                )
                for spec, entry in tried.items()
                for trial in entry["validation"]
            ),
        ),
    )


def _global_model(run: BenchmarkRun) -> Figure | None:
    """How the global models were trained; None where that is not kept."""
    trainings = run.global_trainings
    if not trainings:
        return None
    curves = {
        seed: [{"number": place, **measured} for place, measured in each.validation.items()]
        for seed, each in trainings.items()
    }
    (step,) = {each.step for each in trainings.values()}
    return training(curves, {seed: each.published for seed, each in trainings.items()}, step)


def training(curves: Mapping[int, Curve], published: Mapping[int, int], step: str) -> Figure:
    """Log loss and AUC of the global model on validation, epoch by epoch or round by round.

    Args:
        curves: by seed.
        published: the number of each seed's epoch or round that is published.
        step: ``epoch`` or ``round``.
    """
    measures = {"log_loss": "log loss", "auc": "AUC of all samples together"}

    def draw(canvas: "Canvas") -> None:
        for panel, key in zip(_two_panels(canvas, list(measures.values())), measures, strict=True):
            for place, (seed, curve) in enumerate(curves.items()):
                colour, mark = SERIES[place % _MOST_LINES]
                x, y = [row["number"] for row in curve], [row[key] for row in curve]
                best = x.index(published[seed])
                panel.plot(x, y, color=colour, lw=1.4, label=f"seed {seed}")
                panel.plot(x[best], y[best], mark, color=colour, mfc=PAPER, mew=1.4, ms=5.5)
            panel.margins(y=0.1)
            panel.xaxis.get_major_locator().set_params(integer=True)
            tidy(panel)
        panel.set_xlabel(step)
        handles, labels = panel.get_legend_handles_labels()
        canvas.legend(
            handles,
            labels,
            loc="upper left",
            ncols=4,
            frameon=False,
            labelcolor=INK,
            borderaxespad=0.1,
            columnspacing=1,
        )

    return Figure(
        name="training",
        title="The global model on validation",
        caption=f"One line for each seed; marked: the {step} whose model is published.",
        size=(NARROW, 4.0),
        draw=draw,
        numbers=Table(
            f"The global model on validation, by {step}",
            ("seed", step, *measures.values()),
            tuple(
                (number(seed, "d"), number(row["number"], "d"), *(number(row[key]) for key in measures))
                for seed, curve in curves.items()
                for row in curve
            ),
        ),
    )


def _two_panels(canvas: "Canvas", names: Sequence[str]) -> "list[Any]":
    """Two panels one below the other, each with an axis of its own."""
    width, height = canvas.get_size_inches()
    panels = list(canvas.subplots(len(names), 1, sharex=True))
    canvas.subplots_adjust(
        left=0.6 / width, right=1 - 0.1 / width, top=1 - 0.55 / height, bottom=0.5 / height, hspace=0.3
    )
    for panel, name in zip(panels, names, strict=True):
        panel.text(0, 1.03, name, transform=panel.transAxes, fontsize=9, va="bottom")
    return panels


def _is_chosen(trial: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    return bool(trial["learning_rate"] == entry["learning_rate"] and trial["epochs"] == entry["epochs"])
