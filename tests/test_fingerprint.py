import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fedctr.composition import strategy_of
from fedctr.errors import FedctrError
from fedctr.fingerprint import fingerprint, modules_of
from fedctr.models.model import models
from fedctr.strategy import code_of, strategies

Printed = Callable[..., str]

# Everything that a strategy of one's own may lie next to, in `home`; `installed` is somewhere else on the path.
FILES = {
    "home/own_strategy.py": """
from typing import TYPE_CHECKING

import json
import installed_package
from fedctr import ClientStrategy
from own_base import Base

if TYPE_CHECKING:
    import own_types

class Own(Base):
    def targets(self, local, published):
        import own_package.inner
        return own_package.inner.labels(local)
""",
    "home/own_base.py": "from own_constants import SHARE\nclass Base:\n    share = SHARE\n",
    "home/own_constants.py": "SHARE = 0.5\n",
    "home/own_package/__init__.py": "",
    "home/own_package/inner.py": "from .outer import labels\n",
    "home/own_package/outer.py": "def labels(local):\n    from . import inner\n    return inner, local.labels\n",
    "home/own_types.py": "",
    "home/own_experiment.py": "import own_strategy\n",
    "elsewhere/installed_package.py": "",
}
COUNT = ["own_base", "own_constants", "own_package", "own_package.inner", "own_package.outer", "own_strategy"]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Printed]:
    """The fingerprint that a new process would find in a folder, once some modules have been imported."""

    def find(
        folder: Path, *first: str, cls: str = "own_strategy:Own", what: Callable[[type], str] = fingerprint
    ) -> str:
        with monkeypatch.context() as patch:
            for place in {str((folder / file).parent) for file in FILES if file.count("/") == 1}:
                patch.syspath_prepend(place)
            forget()
            for name in first:
                importlib.import_module(name)
            module, _, name = cls.partition(":")
            return what(getattr(importlib.import_module(module), name))

    yield find
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.startswith(("own_", "installed_"))]:
        del sys.modules[name]


def write(folder: Path, **changed: str) -> Path:
    for file, text in {**FILES, **changed}.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    return folder


def test_what_counts_is_the_class_its_bases_and_what_they_import_of_the_same_work(
    tmp_path: Path, printed: Printed
) -> None:
    assert printed(write(tmp_path), what=lambda cls: " ".join(modules_of(cls))).split() == COUNT


@pytest.mark.parametrize("file", FILES)
def test_a_change_of_what_counts_is_another_fingerprint_and_of_nothing_else(
    file: str, tmp_path: Path, printed: Printed
) -> None:
    before = printed(write(tmp_path / "before"))
    after = printed(write(tmp_path / "after", **{file: FILES[file] + "# changed\n"}))
    name = file.split("/", 1)[1].removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert (before != after) == (name in COUNT)


def test_neither_the_place_nor_line_ends_nor_what_was_imported_before_make_a_difference(
    tmp_path: Path, printed: Printed
) -> None:
    expected = printed(write(tmp_path / "here"))
    there = write(tmp_path / "over" / "there")
    for file in there.rglob("*.py"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert printed(there) == expected
    assert printed(there, "own_package.outer", "own_types", "own_experiment") == expected


def test_the_same_text_under_another_name_is_another_class(tmp_path: Path, printed: Printed) -> None:
    folder = write(tmp_path, **{"home/own_other.py": FILES["home/own_strategy.py"]})
    assert printed(folder) != printed(folder, cls="own_other:Own")


def test_distributions_that_are_installed_side_by_side_do_not_belong_together(tmp_path: Path, printed: Printed) -> None:
    plugin = "import own_neighbour\nimport own_package.inner\nclass Own: pass\n"
    place = "site-packages"
    for file in ("own_neighbour.py", "own_package/__init__.py", "own_package/strategy.py", "own_package/inner.py"):
        (tmp_path / place / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place / file).write_text(plugin if file.endswith("strategy.py") else "")
    sys.path.insert(0, str(tmp_path / place))
    try:
        found = printed(tmp_path, cls="own_package.strategy:Own", what=lambda cls: " ".join(modules_of(cls)))
    finally:
        sys.path.remove(str(tmp_path / place))
    assert found.split() == ["own_package", "own_package.inner", "own_package.strategy"]


def test_a_class_without_a_file_is_refused_in_a_line() -> None:
    cls = type("Typed", (), {"__module__": "typed_in_somewhere"})
    with pytest.raises(FedctrError, match=r"typed_in_somewhere:Typed: no file holds its source.*put it into one"):
        fingerprint(cls)


@pytest.mark.parametrize(
    ("strategy", "modules"),
    [
        ("label-correction", {"strategies.label_correction", "fedctr.strategy", "fedctr.correction"}),
        ("pairwise", {"fedctr.ranking"}),
        ("proximal", {"fedctr.distance"}),
        ("mixture", {"fedctr.mixing"}),
        ("knn-per", {"fedctr.mixing", "fedctr.fused.neighbours"}),
        ("low-rank", {"fedctr.adapter", "fedctr.randomness"}),
    ],
)
def test_a_strategy_of_the_shelf_is_known_by_its_formulas_too(strategy: str, modules: set[str]) -> None:
    assert modules <= set(modules_of(strategies.find(strategy)))


def test_a_model_is_known_by_its_layers_too_but_by_nothing_that_speaks_to_the_user() -> None:
    found = set(modules_of(models.find("din")))
    assert {"fedctr.models.din", "fedctr.models.attention", "fedctr.models.layers", "fedctr.models.descent"} <= found
    assert not found & {"fedctr.errors", "fedctr.registry", "fedctr.progress"}


def test_a_composed_strategy_is_known_by_how_it_is_composed_and_by_its_parts() -> None:
    composed, *parts = code_of(strategy_of("label-correction+gate"))
    assert composed.startswith("fedctr.composition:")
    assert {part.split()[0] for part in parts} == {
        "strategies.label_correction:LabelCorrection",
        "strategies.gate:Gate",
    }
