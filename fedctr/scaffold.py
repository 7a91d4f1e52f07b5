"""A package to start a client strategy of one's own from: strategy, test and entry point, ready to be installed."""

import re
from importlib import resources
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template

from fedctr.errors import FedctrError
from fedctr.strategy import strategies

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def scaffold(name: str, parent: Path) -> Path:
    """Write a package for a new strategy.

    Args:
        name: of strategy and package, in lower case with hyphens.
        parent: where its folder, of the same name, is created.

    Returns:
        The folder, with ``pyproject.toml``, the module and its test.

    Raises:
        FedctrError: for a name of another form or already taken, a folder that exists, or one that cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise FedctrError(f"{name!r}: name it in lower case, with hyphens between words: my-strategy")
    if name in strategies.classes():
        raise FedctrError(f"{name}: a strategy of this name is installed already; choose another")
    module = name.replace("-", "_")
    if iskeyword(module) or find_spec(module):
        raise FedctrError(f"{name}: Python knows {module} already, as a word or a module; choose another name")
    words = {"name": name, "module": module, "cls": "".join(word.capitalize() for word in name.split("-"))}
    folder = parent / name
    files = {"pyproject.toml": "pyproject.toml", f"{module}.py": "strategy.py", f"test_{module}.py": "test_strategy.py"}
    try:
        folder.mkdir(parents=True)
        for file, source in files.items():
            template = Template(resources.files("fedctr").joinpath("template", f"{source}.txt").read_text("utf-8"))
            (folder / file).write_text(template.substitute(words), encoding="utf-8")
    except FileExistsError:
        raise FedctrError(f"{folder}: exists already; choose another name or folder") from None
    except OSError as error:
        raise FedctrError(f"{folder}: cannot be written ({error.strerror})") from error
    return folder
