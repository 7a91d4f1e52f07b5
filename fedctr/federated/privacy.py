"""What federated training does so that no user can be made out in the global model."""

from dataclasses import dataclass

from pydantic import StrictFloat


@dataclass(frozen=True)
class Privacy:
    """User-level differential privacy: every user's change is clipped, and noise is added to their mean.

    McMahan et al., Learning Differentially Private Recurrent Language Models, ICLR 2018, arXiv 1710.06963. The noise
    comes from the run's seed, so that a run can be repeated: a study of what privacy costs, not a protection.

    Attributes:
        noise_multiplier: standard deviation of the noise in the sum of changes, in units of the clipping norm.
        clipping_norm: the longest change of a user, as L2 norm over all parameters.
    """

    noise_multiplier: StrictFloat
    clipping_norm: StrictFloat

    def __post_init__(self) -> None:
        if not 0 <= self.noise_multiplier < float("inf"):
            raise ValueError(f"noise_multiplier {self.noise_multiplier} must be a number of at least 0")
        if not 0 < self.clipping_norm < float("inf"):
            raise ValueError(f"clipping_norm {self.clipping_norm} must be a number above 0")
