"""Label correction: soft labels that move a user's prior and leave the ranking it teaches alone.

A correction maps the label of a user by one increasing affine function, to ``l+`` for its positives and ``l-`` for
its negatives, with ``l+ > l-`` (for a user with both classes, and a target strictly between 0 and 1). Write ``c`` for
the user's local CTR, ``x`` for a sample's features and ``p(x)`` for the share of positives at ``x`` among this user's
samples. Then:

- *The ranking is unchanged.* The log loss is smallest where the model predicts the mean label at ``x``, which is
  ``l- + (l+ - l-) p(x)``: an increasing function of ``p(x)``.
- *The prior meets the target.* The mean label is ``c l+ + (1 - c) l-``, which :func:`one_sided` and :func:`shift` set
  to their target, such as the global CTR ``g``; with a smoothed ``c`` it comes only part of the way.
- *No gradient is spent on the prior.* The log loss's derivative by the output bias is the mean of (prediction -
  label). A published model that predicts ``g`` on average for this user leaves exactly zero of it; with plain
  labels it would be ``g - c``, the drift with its sign turned.

The idea is that of arXiv 2211.01163 (On-Device Model Fine-Tuning with Label Correction in Recommender Systems); the
formulas are derived here. All functions take and return tensors that broadcast against each other.
"""

import torch
from torch import Tensor


def one_sided(labels: Tensor, ctr: Tensor, target: Tensor) -> Tensor:
    """Meet the target with the widest gap between the two labels that fits into [0, 1].

    Above the target the positives give way: ``l+ = target / c``, ``l- = 0``. Below it the negatives do:
    ``l+ = 1``, ``l- = (target - c) / (1 - c)``. A user of one class gets the target for all of its samples, which is
    the limit of the formula.

    Args:
        labels: 0 or 1, (users, samples).
        ctr: local CTR c in [0, 1], (users, 1).
        target: mean label to meet, in [0, 1], broadcastable to (users, 1).

    Returns:
        Soft labels, (users, samples).
    """
    one, zero = torch.ones_like(ctr), torch.zeros_like(ctr)
    above = ctr > target
    positive = torch.where(above, target / torch.where(above, ctr, one), one)
    negative = torch.where(ctr < target, (target - ctr) / torch.where(ctr < one, one - ctr, one), zero)
    return torch.where(labels > 0, positive, negative)


def shift(labels: Tensor, ctr: Tensor, target: Tensor) -> Tensor:
    """Add ``target - c`` to every label, which keeps the gap at 1.

    Labels may leave [0, 1]. There the log loss has no minimum: with a label above 1 it falls without bound as the
    logit grows, so large learning rates diverge.

    Args, returns: as for :func:`one_sided`.
    """
    return labels + (target - ctr)


def smoothed_ctr(positives: Tensor, samples: Tensor, prior: Tensor, strength: float) -> Tensor:
    """Posterior mean of a local CTR under a Beta prior: ``(positives + k prior) / (samples + k)``.

    Args:
        positives: counts, (users, 1).
        samples: counts, (users, 1).
        prior: mean of the prior, in [0, 1], broadcastable.
        strength: k >= 0, how many samples the prior is worth. With k = 0 a user without samples gets the prior.

    Returns:
        Local CTR estimates, (users, 1).
    """
    total = samples + strength
    known = total > 0
    return torch.where(known, (positives + strength * prior) / torch.where(known, total, 1.0), prior)


def between(ctr: Tensor, target: Tensor, share: float) -> Tensor:
    """A mean label on the way from c to the target, evenly in log-odds.

    ``logit t = (1 - s) logit c + s logit target``. Where a model knows the features but not the prior, Bayes' rule
    moves all of its logits by the difference of the priors' log-odds. Plain labels make it move by
    ``logit c - logit g``, labels corrected to this mean by ``1 - s`` of that: a user keeps as much of its drift, and
    the same share at either end of [0, 1].

    Written as a normalised geometric mean of the two distributions, it holds at the ends as well: a user of one class
    keeps it for s < 1, and meets the target for s = 1.

    Args:
        ctr: local CTR c in [0, 1], (users, 1).
        target: strictly between 0 and 1, broadcastable to (users, 1).
        share: s in [0, 1], how much of the way to go.

    Returns:
        Mean labels to meet, (users, 1).
    """
    positive = ctr ** (1 - share) * target**share
    negative = (1 - ctr) ** (1 - share) * (1 - target) ** share
    return positive / (positive + negative)


def gap_only(labels: Tensor, ctr: Tensor, target: Tensor) -> Tensor:
    """A control: the gap of :func:`one_sided`, but the mean label stays at c.

    ``l = c + (l+ - l-) (y - c)``. What this achieves is owed to softer labels, not to the moved prior.

    Args, returns: as for :func:`one_sided`.
    """
    gap = one_sided(torch.ones_like(ctr), ctr, target) - one_sided(torch.zeros_like(ctr), ctr, target)
    return ctr + gap * (labels - ctr)


def wrong_direction(labels: Tensor, ctr: Tensor, target: Tensor) -> Tensor:
    """A control: the mean label moved away from the target by as much, to ``2 c - target``.

    It is moved less where the gap would shrink below one half, so that the labels still tell the classes apart.

    Args, returns: as for :func:`one_sided`.
    """
    away = torch.minimum(torch.maximum(2 * ctr - target, ctr / 2), (1 + ctr) / 2)
    return one_sided(labels, ctr, away)
