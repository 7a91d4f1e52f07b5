"""Fixtures that every test may use."""

import pytest

from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset


@pytest.fixture(scope="session")
def movielens_100k() -> Dataset:
    """The real data, fetched once through the code that users run."""
    return open_dataset("movielens-100k")
