"""A package to start a strategy, model or data set of one's own from: class, test and entry point, ready to install."""

import re
from importlib import resources
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template
from typing import Any

from fedctr.errors import FedctrError
from fedctr.registry import Registry

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def scaffold(registry: Registry[Any], name: str, parent: Path) -> Path:
    """Write a package for a new class of a registry.

    Args:
        registry: of strategies, models or data sets.
        name: of class and package, in lower case with hyphens.
        parent: where its folder, of the same name, is created.

    Returns:
        The folder, with ``pyproject.toml``, the module and its test.

    Raises:
        FedctrError: for a name of another form or already taken, a folder that exists, or one that cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise FedctrError(f"{name!r}: name it in lower case, with hyphens between words: my-own")
    if name in registry.classes():
        raise FedctrError(f"{name}: a {registry.kind} of this name is installed already; choose another")
    module = name.replace("-", "_")
    if iskeyword(module) or find_spec(module):
        raise FedctrError(f"{name}: Python knows {module} already, as a word or a module; choose another name")
    words = {
        **{"name": name, "module": module, "cls": "".join(word.capitalize() for word in name.split("-"))},
        **{"kind": registry.kind, "group": registry.group},
    }
    folder, templates = parent / name, resources.files("fedctr").joinpath("template")
    own = templates.joinpath(registry.group.rpartition(".")[2])
    files = {
        "pyproject.toml": templates.joinpath("pyproject.toml.txt"),
        f"{module}.py": own.joinpath("module.py.txt"),
        f"test_{module}.py": own.joinpath("test_module.py.txt"),
    }
    try:
        folder.mkdir(parents=True)
        for file, template in files.items():
            text = Template(template.read_text("utf-8")).substitute(words)
            (folder / file).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise FedctrError(f"{folder}: exists already; choose another name or folder") from None
    except OSError as error:
        raise FedctrError(f"{folder}: cannot be written ({error.strerror})") from error
    return folder
