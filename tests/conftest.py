"""Fixtures that every test may use."""

import pytest
from hypothesis import settings

from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset

# A busy machine must not fail a test that is right.
settings.register_profile("fedctr", deadline=None)
settings.load_profile("fedctr")


@pytest.fixture(scope="session")
def movielens_100k() -> Dataset:
    """The real data, fetched once through the code that users run."""
    return open_dataset("movielens-100k")
