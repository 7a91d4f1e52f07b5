"""How the server makes a new global model out of a round, with Flower's own strategies."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import (
    DifferentialPrivacyClientSideFixedClipping,
    FedAdam,
    FedAvg,
    FedMedian,
    FedProx,
    FedYogi,
    Krum,
)

from fedctr.errors import FedctrError, did_you_mean
from fedctr.federated.privacy import Privacy
from fedctr.hyperparameters import check_count, check_positive, is_number
from fedctr.registry import parse

Arrays = dict[str, npt.NDArray[Any]]
# A round's messages go to every client; who takes part is drawn among the users, not among the clients.
EVERYONE = {"fraction_train": 1.0, "min_train_nodes": 1, "min_available_nodes": 1, "weighted_by_key": "users"}
MOMENTS = ("m_t", "v_t")  # what FedAdam and FedYogi remember from round to round


class Reptile(FedAvg):
    """A step from the global model towards the users' mean; FedAvg is the step of 1.

    Nichol, Achiam and Schulman, On First-Order Meta-Learning Algorithms, arXiv 1803.02999, algorithm 2.

    Args:
        step: its length, epsilon in the paper.
    """

    last_epoch: ClassVar[bool] = False

    def __init__(self, *, step: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.step = step
        self._current: Arrays = {}

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Note the global model."""
        self._current = _to_numpy(arrays)
        config["last-epoch"] = self.last_epoch
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Step towards the mean."""
        mean, metrics = super().aggregate_train(server_round, replies)
        if mean is None:
            return mean, metrics
        moved = {name: old + self.step * (mean[name].numpy() - old) for name, old in self._current.items()}
        return _to_record(moved), metrics


class PerFedAvg(Reptile):
    """First-order Per-FedAvg: users adapt the global model, and only what they change after that counts.

    Every user adapts a copy of the global model for all of its epochs but one, and what it changes in that last epoch
    is applied to the global model. That is the gradient at the adapted parameters, with an epoch for a gradient step:
    Fallah, Mokhtari and Ozdaglar, Personalized Federated Learning with Theoretical Guarantees, NeurIPS 2020, arXiv
    2002.07948, the first-order variant of section 5; FO-MAML in federated form.
    """

    last_epoch: ClassVar[bool] = True


@dataclass(frozen=True)
class _Kind:
    """One way to aggregate.

    Attributes:
        strategy: Flower's strategy.
        options: its options that matter here, each with the check of its value.
        by_user: whether it takes the mean over users; the others compare what whole clients send.
    """

    strategy: Callable[..., FedAvg]
    options: Mapping[str, Callable[..., None]] = field(default_factory=dict)
    by_user: bool = True


def _check_decay(**decays: float) -> None:
    """Refuse what is no share of a moment that is kept from round to round: all of it would never move."""
    for name, decay in decays.items():
        if not is_number(decay) or not 0 <= decay < 1:
            raise ValueError(f"{name} {decay!r} must be a number from 0 to below 1")


_MOMENTUM = {"eta": check_positive, "beta_1": _check_decay, "beta_2": _check_decay, "tau": check_positive}
_KINDS = {
    "fedavg": _Kind(FedAvg),
    "fedadam": _Kind(FedAdam, _MOMENTUM),
    "fedyogi": _Kind(FedYogi, _MOMENTUM),
    "fedprox": _Kind(FedProx, {"proximal_mu": check_positive}),
    "fedmedian": _Kind(FedMedian, by_user=False),
    "krum": _Kind(Krum, {"num_malicious_nodes": partial(check_count, 0)}, by_user=False),
    "reptile": _Kind(Reptile, {"step": check_positive}),
    "per-fedavg": _Kind(PerFedAvg, {"step": check_positive}),
}


class Aggregation:
    """One of Flower's strategies, fed with the users' mean, or with what each client sends.

    A client simulates many users. A strategy that takes a mean gets one reply, the mean over all users of a round, so
    that every user counts the same and nothing depends on how users are partitioned. FedMedian and Krum compare
    replies, so they get one for each client, the mean over its users: there, results depend on the partitions, and
    one user to a partition is the literal picture.

    Args:
        spec: such as ``fedavg`` or ``fedadam[eta=0.01]``; the options are Flower's.
        privacy: clipping and noise; None for neither.

    Attributes:
        by_user: whether it takes the mean over users.
        last_epoch: whether only the change of a user's last epoch counts.
        fewest_partitions: how many there must be, for Krum to tell the malicious from the others.

    Raises:
        FedctrError: for an unknown name or option, or a value that does not fit.
    """

    def __init__(self, spec: str, privacy: Privacy | None = None) -> None:
        parsed = parse(spec)
        name, options = parsed.name, parsed.options
        if name not in _KINDS:
            hint = did_you_mean(name, _KINDS) or f"known: {', '.join(_KINDS)}"
            raise FedctrError(f"unknown aggregation {name!r}; {hint}")
        kind = _KINDS[name]
        for option, value in options.items():
            if option not in kind.options:
                raise FedctrError(
                    f"aggregation {name} has no option {option!r}; it has {', '.join(kind.options) or 'none'}"
                )
            try:
                kind.options[option](**{option: value})
            except ValueError as error:
                raise FedctrError(f"aggregation {spec!r}: {error}") from None
        if name == "fedprox" and "proximal_mu" not in options:
            raise FedctrError(
                f"aggregation {spec!r}: give proximal_mu a number above 0, as in fedprox[proximal_mu=0.1]"
            )
        self.by_user = kind.by_user
        self._inner = kind.strategy(**EVERYONE, **options)
        self.last_epoch = isinstance(self._inner, PerFedAvg)
        # Blanchard et al., Machine Learning with Adversaries, NeurIPS 2017: 2 f + 2 < n for f malicious of n.
        self.fewest_partitions = 2 * self._inner.num_malicious_nodes + 3 if isinstance(self._inner, Krum) else 1
        if privacy and type(self._inner).aggregate_train is not FedAvg.aggregate_train:
            raise FedctrError(
                f"privacy: its noise is meant for the mean over users as it is, which {name} changes; choose fedavg or "
                "fedprox"
            )
        self._private: DifferentialPrivacyClientSideFixedClipping | None = None
        if privacy:
            self._private = DifferentialPrivacyClientSideFixedClipping(
                self._inner, privacy.noise_multiplier, privacy.clipping_norm, num_sampled_clients=1
            )

    def configure(self, number: int, model: Arrays, grid: Grid) -> ConfigRecord:
        """Begin a round: the strategy notes the global model, and says what it asks of the clients."""
        config = ConfigRecord()
        list((self._private or self._inner).configure_train(number, _to_record(model), config, grid))
        return config

    def aggregate(self, number: int, replies: list[tuple[Arrays, int]], noise_seed: int) -> Arrays:
        """End a round.

        Args:
            number: of the round.
            replies: mean models with their numbers of users; a single one for strategies that take a mean.
            noise_seed: of the noise, if there is any.

        Returns:
            The new global model, float64.
        """
        messages = [
            Message(
                RecordDict({"arrays": _to_record(model), "metrics": MetricRecord({"users": users})}),
                dst_node_id=1,
                message_type=MessageType.TRAIN,
            )
            for model, users in replies
        ]
        if self._private:
            # Flower counts replies; what is averaged here are users.
            self._private.num_sampled_clients = sum(users for _, users in replies)
        with _seeded(noise_seed):
            arrays, _ = (self._private or self._inner).aggregate_train(number, messages)
        assert arrays is not None
        return _to_numpy(arrays)

    def state(self) -> Arrays:
        """What the strategy remembers from round to round."""
        return {
            f"{moment}/{name}": array
            for moment in MOMENTS
            for name, array in (getattr(self._inner, moment, None) or {}).items()
        }

    def restore(self, state: Arrays) -> None:
        """Remember what :meth:`state` said."""
        for moment in MOMENTS:
            found = {name.partition("/")[2]: array for name, array in state.items() if name.partition("/")[0] == moment}
            if hasattr(self._inner, moment):
                setattr(self._inner, moment, found or None)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Let NumPy's global random numbers, which Flower draws its noise from, begin at a seed."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _to_record(arrays: Arrays) -> ArrayRecord:
    return ArrayRecord({name: Array(np.asarray(array, dtype=np.float64)) for name, array in arrays.items()})


def _to_numpy(record: ArrayRecord) -> Arrays:
    return {name: array.numpy() for name, array in record.items()}
