"""The versions that a summary names, so that its numbers can be had again."""

import importlib.metadata
import platform

PACKAGES = ("fedctr", "flwr", "ray", "torch", "numpy", "pandas")


def versions() -> dict[str, str]:
    """Of each of ``PACKAGES``, and of Python."""
    return {name: importlib.metadata.version(name) for name in PACKAGES} | {"python": platform.python_version()}
