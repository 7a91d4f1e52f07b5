"""The pictures of the page on the idea, from the formulas themselves: ``python docs/pictures.py``."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedctr import correction

FOLDER = Path(__file__).parent / "pages" / "pictures"
GLOBAL_CTR = 0.3
PLAIN, CORRECTED, GREY, INK = "#c8571b", "#1f5fa8", "#8a8a8a", "#222222"


def soft_labels(ctr: np.ndarray, label: float) -> np.ndarray:
    """What one-sided correction makes of a label, for users of many local CTRs; float64 (users,)."""
    local = torch.from_numpy(ctr)[:, None]
    return correction.one_sided(torch.full_like(local, label), local, torch.tensor(GLOBAL_CTR)).numpy()[:, 0]


def descent(labels: np.ndarray, taste: np.ndarray, steps: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Gradient descent on the log loss of a model with two weights, starting from the global model.

    The logit of a sample is ``logit g + prior + weight * taste``; both weights start at 0.

    Args:
        labels: float64 (samples,).
        taste: what this user may like or not, float64 (samples,), mean 0.
        steps: how many.
        rate: the step size.

    Returns:
        The prior's log-odds and the weight of taste after each step, float64 (steps + 1,) each.
    """
    prior, weight = np.zeros(steps + 1), np.zeros(steps + 1)
    for step in range(steps):
        logits = np.log(GLOBAL_CTR / (1 - GLOBAL_CTR)) + prior[step] + weight[step] * taste
        wrong = 1 / (1 + np.exp(-logits)) - labels
        prior[step + 1] = prior[step] - rate * wrong.mean()
        weight[step + 1] = weight[step] - rate * (wrong * taste).mean()
    return prior, weight


def frame(axes: Axes, title: str, across: str, up: str) -> None:
    """Title, labels, and no more ink than needed."""
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6", lw=0.8)
    axes.set_axisbelow(True)


def draw_prior_and_taste(file: Path) -> None:
    """What the first steps of fine-tuning are spent on, with plain and with corrected labels."""
    # A user who clicks on 16 of 20 items, and on more of the ones with a high x: c = 0.8, g = 0.3.
    taste = np.linspace(-1, 1, 20)
    labels = np.ones(20)
    labels[[0, 1, 3, 6]] = 0
    ctr = torch.tensor([[labels.mean()]], dtype=torch.float64)
    corrected = correction.one_sided(torch.from_numpy(labels)[None], ctr, torch.tensor(GLOBAL_CTR)).numpy()[0]
    figure = Figure(figsize=(10, 3.9), layout="constrained")
    prior_axes, taste_axes = figure.subplots(1, 2)
    for values, colour, name in ((labels, PLAIN, "plain labels"), (corrected, CORRECTED, "corrected labels")):
        prior, weight = descent(values, taste, steps=60, rate=0.3)
        prior_axes.plot(prior, color=colour, lw=2.2, label=name)
        taste_axes.plot(weight, color=colour, lw=2.2, label=name)
    needed = np.log(0.8 / 0.2) - np.log(GLOBAL_CTR / (1 - GLOBAL_CTR))
    prior_axes.axhline(needed, color=GREY, lw=1, ls="--")
    prior_axes.annotate("log-odds of c less those of g", (0, needed), (0, 4), textcoords="offset points", color=GREY)
    prior_axes.set_ylim(-0.4, 2.6)
    frame(prior_axes, "The prior: one number for all items, so no ranking", "step", "added to every logit")
    frame(taste_axes, "Taste: what ranks one item above another", "step", "weight of the item's feature")
    for axes in (prior_axes, taste_axes):
        axes.legend(frameon=False, loc="lower right" if axes is taste_axes else "center right")
    figure.suptitle("A user with local CTR c = 0.8 where the global CTR is g = 0.3", x=0.01, ha="left", color=INK)
    figure.savefig(file, metadata={"Date": None}, facecolor="white")


def draw_one_sided(file: Path) -> None:
    """The soft labels for every local CTR."""
    ctr = np.linspace(0.01, 0.99, 197)
    positive, negative = soft_labels(ctr, 1.0), soft_labels(ctr, 0.0)
    figure = Figure(figsize=(10, 3.9), layout="constrained")
    label_axes, mean_axes = figure.subplots(1, 2)
    label_axes.fill_between(ctr, negative, positive, color=CORRECTED, alpha=0.1, lw=0)
    label_axes.plot(ctr, positive, color=CORRECTED, lw=2.2, label="a positive becomes l\u207a")
    label_axes.plot(ctr, negative, color=PLAIN, lw=2.2, label="a negative becomes l\u207b")
    label_axes.axvline(GLOBAL_CTR, color=GREY, lw=1, ls="--")
    label_axes.annotate(f"g = {GLOBAL_CTR}", (GLOBAL_CTR, 0.5), (4, 0), textcoords="offset points", color=GREY)
    frame(label_axes, "The class that a user has too much of gives way", "local CTR c of the user", "soft label")
    label_axes.legend(frameon=False, loc="upper right")
    mean_axes.plot(ctr, ctr, color=PLAIN, lw=2.2, label="plain: c")
    mean_axes.plot(ctr, ctr * positive + (1 - ctr) * negative, color=CORRECTED, lw=2.2, label="corrected: g")
    frame(mean_axes, "The mean label is the global CTR for everybody", "local CTR c of the user", "mean label")
    mean_axes.legend(frameon=False, loc="upper left")
    figure.savefig(file, metadata={"Date": None}, facecolor="white")


def main() -> None:
    """Draw both, the same to the byte each time."""
    mpl.rcParams["svg.hashsalt"] = "fedctr"
    mpl.rcParams["svg.fonttype"] = "path"
    FOLDER.mkdir(exist_ok=True)
    draw_prior_and_taste(FOLDER / "prior-and-taste.svg")
    draw_one_sided(FOLDER / "one-sided.svg")


if __name__ == "__main__":
    main()
