import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedctr import cohort_size, engines
from fedctr.cohort_size import AT_LEAST, AT_MOST, users_in_cache
from tests.engine import features_of, publish


@pytest.fixture
def a_megabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort_size, "_bytes_per_core", lambda: 1 << 20)


@pytest.mark.usefixtures("a_megabyte")
@pytest.mark.parametrize(
    ("working_set", "users"),
    [
        (1 << 20, 32),  # one would fit, but fewer than 32 do not pay
        (32 << 10, 32),
        (16 << 10, 64),
        ((16 << 10) + 1, 32),  # 63 fit
        (10_000, 96),  # 104 fit
        (2048, 512),
        (1, 512),
        (0, 512),
    ],
)
def test_a_cohort_is_what_the_cache_holds_in_multiples_of_32(working_set: int, users: int) -> None:
    assert users_in_cache(working_set) == users


@given(working_set=st.integers(0, 1 << 40))
def test_on_any_machine_a_cohort_has_from_32_to_512_users_and_never_more_for_larger_models(working_set: int) -> None:
    users = users_in_cache(working_set)
    assert AT_LEAST <= users <= AT_MOST
    assert users % 32 == 0
    assert users_in_cache(working_set + 1) <= users
    assert users_in_cache(2 * working_set) <= users


def test_sizes_are_read_as_the_system_writes_them() -> None:
    assert cohort_size._bytes("32768K\n") == 32 << 20
    assert cohort_size._bytes("48K") == 48 << 10


def test_the_share_of_a_core_is_some_memory() -> None:
    assert 0 < cohort_size._bytes_per_core() <= 1 << 32


def test_a_step_over_more_samples_has_a_working_set_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "users_at_once", lambda working_set, device: working_set)
    features = features_of([60, 60], [1, 1])
    published = publish("wide-deep[hidden=[8]]", features.dataset.schema)
    found = [
        engines.users_together(published, features, batch_size, "cpu", np.arange(2), 64) for batch_size in (8, 64, 8)
    ]
    assert found[0] == found[2] < found[1]
