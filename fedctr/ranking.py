"""Losses by the order of a user's samples.

BPR: Bayesian Personalized Ranking from Implicit Feedback, Rendle et al., UAI 2009, arXiv 1205.2618.
ListNet: Learning to Rank, From Pairwise Approach to Listwise Approach, Cao et al., ICML 2007; with binary relevance,
An Analysis of the Softmax Cross Entropy Loss for Learning-to-Rank with Binary Relevance, Bruch et al., ICTIR 2019.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def bayesian_personalised_ranking(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """``-ln sigmoid(f+ - f-)``, for each sample the mean over the samples of the other class; 0 without any.

    Args:
        logits: float32 (users, samples).
        labels: 0 or 1, (users, samples).
        mask: bool (users, samples), False in the padding.

    Returns:
        float32 (users, samples).
    """
    positive, negative = labels * mask, (1 - labels) * mask
    pairs = positive.unsqueeze(2) * negative.unsqueeze(1)
    losses = F.softplus(logits.unsqueeze(1) - logits.unsqueeze(2)) * pairs
    others = torch.where(labels > 0, negative.sum(1, keepdim=True), positive.sum(1, keepdim=True))
    return (losses.sum(2) + losses.sum(1)) / others.clamp(min=1)


def softmax_cross_entropy(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """The list-wise loss of each user's samples, ``-1/n+ sum of ln softmax(f) over the positives``; 0 without any.

    The softmax goes over all of the user's n samples. Each positive is given ``n / n+`` times its own logarithm and
    each negative 0, so that the mean over the samples is the loss of the list.

    Args, returns: as for :func:`bayesian_personalised_ranking`.
    """
    # A finite number for the padding: a user without samples would have a softmax over nothing, and NaN as gradient.
    listed = logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
    positive = (labels > 0) & mask
    share = mask.sum(1, keepdim=True) / positive.sum(1, keepdim=True).clamp(min=1)
    return torch.where(positive, -share * listed.log_softmax(1), 0.0)
