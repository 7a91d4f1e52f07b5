"""Losses by the order of a user's samples.

BPR: Bayesian Personalized Ranking from Implicit Feedback, Rendle et al., UAI 2009, arXiv 1205.2618.
"""

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
    sign = (2 * labels - 1).unsqueeze(2)
    margins = sign * (logits.unsqueeze(2) - logits.unsqueeze(1))
    opposite = (labels.unsqueeze(2) != labels.unsqueeze(1)) & mask.unsqueeze(1)
    return (F.softplus(-margins) * opposite).sum(2) / opposite.sum(2).clamp(min=1)
