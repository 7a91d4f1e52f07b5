"""Runs the tests of a contract for every spec that the test class names."""

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    specs = getattr(metafunc.cls, "specs", None)
    if specs and "spec" in metafunc.fixturenames:
        metafunc.parametrize("spec", specs)
