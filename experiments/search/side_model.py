"""How much is there to learn? A ridge regression of each user's residuals, beside the published model.

    python experiments/search/side_model.py

Each user gets weights of its own on an item's genres and on its popularity, fitted in closed form to label minus
prediction, both centred, so that the prior is left out as label correction leaves it out. Test is never read.
"""

import numpy as np
from search import placed

from fedctr.cloud import CloudTraining, publish
from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset, slices
from fedctr.data.split import Split, split
from fedctr.features import Features
from fedctr.metrics import user_auc
from fedctr.statistics import paired_difference

WINDOWS = ("later:validation", "earlier:validation", "rehearsal:test", "rehearsal-earlier:test")
STRENGTHS = (30, 60, 120)
CURVATURE = 4.0  # the inverse of p (1 - p) at one half


def descriptions(dataset: Dataset, parts: Split) -> np.ndarray:
    """Genres, of length 1 in all, and standardised log popularity of every item, float64 (items, features)."""
    train = np.concatenate([np.arange(*bounds) for bounds in zip(*parts.bounds("train"), strict=True)])
    counts = np.bincount(dataset.item[train], minlength=dataset.items)
    popularity = np.log1p(counts)
    mean = np.average(popularity, weights=counts)
    spread = np.sqrt(np.average((popularity - mean) ** 2, weights=counts))
    field, columns = next(pair for pair in slices(dataset.schema.item_fields) if pair[0].name == "genres")
    codes = dataset.item_codes[:, columns]
    genres = (codes[:, :, None] == np.arange(1, field.cardinality)).any(1)
    genres = genres / np.sqrt(np.maximum(genres.sum(1, keepdims=True), 1))
    return np.column_stack([genres, (popularity - mean) / spread])


def main() -> None:
    """Print the gain in user AUC, window by window."""
    for place in WINDOWS:
        window, part = place.split(":")
        dataset, fractions = placed(open_dataset("movielens-100k"), window)
        published, _ = publish("din", dataset, fractions, CloudTraining(), 0, lambda epoch, loss: None)
        parts = split(dataset, fractions)
        features = Features(dataset, parts, range(dataset.users), published.model.history_length)
        described = descriptions(dataset, parts)
        local, scored = (
            [np.arange(*pair) for pair in zip(*parts.bounds(each), strict=True)] for each in ("train", part)
        )
        rows, offsets = np.concatenate(scored), np.concatenate([[0], np.cumsum([len(each) for each in scored])])
        logits = np.concatenate(
            [
                published.model(features.batch(np.arange(a, b)[None], np.array([[user]])))[0].detach().numpy()
                for user, (a, b) in enumerate(zip(dataset.offsets[:-1], dataset.offsets[1:], strict=True))
            ]
        )
        before = user_auc(logits[rows], dataset.label[rows], offsets)
        for strength in STRENGTHS:
            scores = logits.astype(np.float64)
            for known, asked in zip(local, scored, strict=True):
                x, centre = described[dataset.item[known]], described[dataset.item[known]].mean(0)
                residuals = dataset.label[known] - 1 / (1 + np.exp(-logits[known]))
                kernel = (x - centre) @ (x - centre).T + strength * np.eye(len(x))
                weights = (x - centre).T @ np.linalg.solve(kernel, residuals - residuals.mean())
                scores[asked] += CURVATURE * (described[dataset.item[asked]] - centre) @ weights
            after = user_auc(scores[rows].astype(np.float32), dataset.label[rows], offsets)
            gain = paired_difference((after - before)[:, None])
            print(f"{place:24s} {strength:4d}  {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]", flush=True)


if __name__ == "__main__":
    main()
