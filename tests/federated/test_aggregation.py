"""What Flower's strategies make of the users' mean, recomputed by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from flwr.clientapp import ClientApp

from fedctr.errors import FedctrError
from fedctr.federated.aggregation import Aggregation, Arrays
from fedctr.federated.messages import Terms
from fedctr.federated.privacy import Privacy
from fedctr.simulation import InlineGrid

OLD: Arrays = {"weight": np.array([[1.0, -2.0], [0.5, 0.0]]), "bias": np.array([0.25])}
MEAN: Arrays = {"weight": np.array([[1.5, -2.0], [0.5, 0.125]]), "bias": np.array([0.0])}


@pytest.fixture
def grid() -> InlineGrid:
    return InlineGrid(ClientApp(), 3)


def terms(aggregation: Aggregation, grid: InlineGrid, number: int = 1, old: Arrays = OLD) -> Terms:
    return Terms.of(aggregation.configure(number, old, grid))


def once(spec: str, grid: InlineGrid, *means: Arrays, number: int = 1, privacy: Privacy | None = None) -> Arrays:
    """One round of a fresh aggregation."""
    aggregation = Aggregation(spec, privacy)
    terms(aggregation, grid, number)
    return aggregation.aggregate(number, [(mean, 10) for mean in means], noise_seed=7)


def assert_equal(found: Arrays, expected: Arrays, rtol: float = 1e-12) -> None:
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=rtol)


def moved(step: float) -> Arrays:
    return {name: old + step * (MEAN[name] - old) for name, old in OLD.items()}


@pytest.mark.parametrize(
    ("spec", "step"),
    [
        ("fedavg", 1.0),
        ("fedprox[proximal_mu=0.1]", 1.0),
        ("reptile", 1.0),
        ("reptile[step=0.5]", 0.5),
        ("per-fedavg[step=2]", 2.0),
    ],
)
def test_the_new_model_is_a_step_towards_the_mean(spec: str, step: float, grid: InlineGrid) -> None:
    assert_equal(once(spec, grid, MEAN), moved(step))


@pytest.mark.parametrize("spec", ["fedadam", "fedyogi"])
def test_adaptive_steps_by_hand_for_two_rounds(spec: str, grid: InlineGrid) -> None:
    """Reddi et al., Adaptive Federated Optimization, algorithm 2; Flower corrects the bias of Adam as well."""
    eta, first, second, tau = 0.1, 0.9, 0.99, 1e-3
    aggregation = Aggregation(f"{spec}[eta=0.1,tau=0.001]")
    model: Arrays = OLD
    expected = {name: (old.copy(), np.zeros_like(old), np.zeros_like(old)) for name, old in OLD.items()}
    for number in (1, 2):
        terms(aggregation, grid, number, model)
        model = aggregation.aggregate(number, [(MEAN, 3)], noise_seed=0)
        for name, (value, m, v) in expected.items():
            delta = MEAN[name] - value
            m = first * m + (1 - first) * delta
            square = delta**2
            adam = spec == "fedadam"
            v = second * v + (1 - second) * square if adam else v - (1 - second) * square * np.sign(v - square)
            rate = eta * np.sqrt(1 - second ** (number + 1)) / (1 - first ** (number + 1)) if adam else eta
            expected[name] = value + rate * m / (np.sqrt(v) + tau), m, v
        assert_equal(model, {name: value for name, (value, _, _) in expected.items()})


@pytest.mark.parametrize("spec", ["fedadam", "fedyogi", "fedavg"])
def test_a_fresh_one_goes_on_with_what_another_remembers(spec: str, grid: InlineGrid) -> None:
    whole, resumed = Aggregation(spec), Aggregation(spec)
    terms(whole, grid, 1)
    model = whole.aggregate(1, [(MEAN, 3)], noise_seed=0)
    resumed.restore(whole.state())
    assert bool(whole.state()) == (spec != "fedavg")
    results = []
    for aggregation in (whole, resumed):
        terms(aggregation, grid, 2, model)
        results.append(aggregation.aggregate(2, [(MEAN, 3)], noise_seed=0))
    assert_equal(results[0], results[1], rtol=0)


def test_fedmedian_takes_the_median_of_what_clients_send(grid: InlineGrid) -> None:
    means = [{"weight": np.full((2, 2), value), "bias": np.array([-value])} for value in (1.0, 2.0, 50.0)]
    assert_equal(once("fedmedian", grid, *means), means[1])


def test_krum_takes_the_client_that_is_nearest_to_the_others(grid: InlineGrid) -> None:
    means = [{"weight": np.full((2, 2), value), "bias": np.array([0.0])} for value in (1.0, 1.1, 1.25, 1.5, 50.0)]
    assert_equal(once("krum[num_malicious_nodes=1]", grid, *means), means[1])


def test_what_is_asked_of_the_clients(grid: InlineGrid) -> None:
    assert terms(Aggregation("fedavg"), grid, 4) == Terms(4)
    assert terms(Aggregation("fedprox[proximal_mu=0.1]"), grid) == Terms(1, pull=0.1)
    assert terms(Aggregation("reptile"), grid) == Terms(1)
    assert terms(Aggregation("per-fedavg"), grid) == Terms(1, last_epoch=True)
    assert terms(Aggregation("fedprox[proximal_mu=0.1]", Privacy(1.0, 0.5)), grid) == Terms(1, 0.1, clipping_norm=0.5)


# ----------------------------------------------------------------------------------------------- privacy


def test_noise_is_as_strong_as_it_should_be_for_the_users_who_replied(grid: InlineGrid) -> None:
    """The sum has the noise multiplier times the clipping norm, so the mean over n users an n-th of that."""
    old = {"weight": np.zeros(20_000)}
    for spec, users in (("fedavg", 10), ("fedavg", 1000)):
        aggregation = Aggregation(spec, Privacy(noise_multiplier=2.0, clipping_norm=3.0))
        aggregation.configure(1, old, grid)
        noise = aggregation.aggregate(1, [(old, users)], noise_seed=5)["weight"]
        assert np.std(noise) == pytest.approx(6.0 / users, rel=0.03)
        assert abs(np.mean(noise)) < 4 * 6.0 / users / np.sqrt(20_000)


def test_the_seed_determines_the_noise_and_nobody_elses_is_touched(grid: InlineGrid) -> None:
    privacy = Privacy(1.0, 1.0)
    np.random.seed(1)  # noqa: NPY002
    first, again = (once("fedavg", grid, MEAN, privacy=privacy) for _ in range(2))
    assert_equal(first, again, rtol=0)
    drawn = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert drawn == np.random.random()  # noqa: NPY002
    aggregation = Aggregation("fedavg", privacy)
    terms(aggregation, grid)
    other = aggregation.aggregate(1, [(MEAN, 10)], noise_seed=8)
    assert (other["weight"] != first["weight"]).all()


def test_without_noise_privacy_only_clips(grid: InlineGrid) -> None:
    assert_equal(once("fedavg", grid, MEAN, privacy=Privacy(0.0, 1.0)), MEAN)


# ---------------------------------------------------------------------------------------------- bad specs


@pytest.mark.parametrize(
    ("spec", "privacy", "message"),
    [
        ("fedavgg", None, "unknown aggregation 'fedavgg'; did you mean fedavg"),
        ("zzz", None, "unknown aggregation 'zzz'; known: fedavg, fedadam, fedyogi, fedprox, fedmedian, krum, reptile"),
        ("fedavg[eta=1]", None, "aggregation fedavg has no option 'eta'; it has none"),
        ("fedadam[etta=1]", None, "aggregation fedadam has no option 'etta'; it has eta, beta_1, beta_2, tau"),
        ("fedprox", None, "aggregation 'fedprox': give proximal_mu a number above 0, as in fedprox[proximal_mu=0.1]"),
        ("fedavg[", None, "'fedavg[': expected NAME or NAME[option=value,...]"),
        ("krum", Privacy(1, 1), "privacy: its noise is meant for the mean over users as it is, which krum changes; ch"),
        ("fedadam", Privacy(1, 1), "privacy: its noise is meant for the mean over users as it is, which fedadam chang"),
        ("reptile", Privacy(1, 1), "privacy: its noise is meant for the mean over users as it is, which reptile chang"),
    ],
)
def test_a_mistake_is_one_clear_line(spec: str, privacy: Any, message: str) -> None:
    with pytest.raises(FedctrError) as caught:
        Aggregation(spec, privacy)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("spec", "refused", "expected"),
    [
        *(
            (f"{spec}[{option}=VALUE]", ("0", "-0.1", "inf", "nan", "true", "x"), "a number above 0")
            for spec, options in {
                "fedadam": ("eta", "tau"),
                "fedyogi": ("eta", "tau"),
                "fedprox": ("proximal_mu",),
                "reptile": ("step",),
                "per-fedavg": ("step",),
            }.items()
            for option in options
        ),
        *(
            (f"{spec}[{option}=VALUE]", ("-0.1", "1", "1.5", "nan", "false", "x"), "a number from 0 to below 1")
            for spec in ("fedadam", "fedyogi")
            for option in ("beta_1", "beta_2")
        ),
        ("krum[num_malicious_nodes=VALUE]", ("-1", "0.5", "1.0", "true"), "a whole number of at least 0"),
    ],
)
def test_an_option_out_of_its_range_is_refused(spec: str, refused: Sequence[str], expected: str) -> None:
    for value in refused:
        with pytest.raises(FedctrError) as caught:
            Aggregation(spec.replace("VALUE", value))
        said = str(caught.value)
        assert said.startswith(f"aggregation {spec.replace('VALUE', value)!r}: ")
        assert said.endswith(f" must be {expected}")


def test_the_ends_of_the_ranges_that_mean_something() -> None:
    for spec in ("fedadam[beta_1=0,beta_2=0.0]", "krum[num_malicious_nodes=0]", "reptile[step=1.5]"):
        Aggregation(spec)


@pytest.mark.parametrize(
    ("spec", "fewest"), [("krum", 3), ("krum[num_malicious_nodes=1]", 5), ("krum[num_malicious_nodes=4]", 11)]
)
def test_krum_needs_more_than_twice_the_malicious_clients_and_two(spec: str, fewest: int) -> None:
    assert Aggregation(spec).fewest_partitions == fewest


def test_the_others_do_with_any_number_of_partitions() -> None:
    assert {Aggregation(spec).fewest_partitions for spec in ("fedavg", "fedmedian", "fedadam", "reptile")} == {1}
