import importlib.metadata
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedctr import registry
from fedctr.errors import FedctrError
from fedctr.registry import Registry, Spec, announced, parse, split_specs


class Shape:
    """The contract of the registries in this file."""

    name: ClassVar[str]


@dataclass(frozen=True)
class Circle(Shape):
    name: ClassVar[str] = "circle"
    colour: str
    radius: float = 1.0

    def __post_init__(self) -> None:
        if self.radius < 0:
            raise ValueError(f"radius is {self.radius}; it must not be negative")


class Nameless(Shape):
    pass


SQUARE = """
from tests.test_registry import Circle, Shape

class Square(Shape):
    name = "square"
    def __init__(self, side=1):
        self.side = side

class Base(Shape):
    pass
"""


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package ``shapes`` with one module, on the path for one test."""
    package = tmp_path / "shapes"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "square.py").write_text(SQUARE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield package
    for name in [name for name in sys.modules if name.partition(".")[0] in ("shapes", "stranger")]:
        del sys.modules[name]


@pytest.fixture
def shapes(shelf: Path) -> Registry[Shape]:
    assert shelf.is_dir()
    return Registry("shape", "shapes", "fedctr.test_shapes", Shape)


def announce(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    points = [EntryPoint(value.rpartition(":")[2], value, "fedctr.test_shapes") for value in values]
    monkeypatch.setattr(registry, "announced", lambda group: points)


class TestSpecs:
    def test_a_bare_name(self) -> None:
        assert parse(" din ") == Spec("din", {})

    def test_values_are_toml_or_bare_words(self) -> None:
        assert parse("a[n=3,x=0.1,on=true,words=one-sided,quoted='b c',list=[1,2]]") == Spec(
            "a", {"n": 3, "x": 0.1, "on": True, "words": "one-sided", "quoted": "b c", "list": [1, 2]}
        )

    @pytest.mark.parametrize("text", ["", "a[", "a]", "[x=1]", "a[x]", "a[=1]", "a[x=1]b"])
    def test_another_form_is_refused(self, text: str) -> None:
        with pytest.raises(FedctrError, match="expected"):
            parse(text)

    def test_an_option_that_is_given_twice(self) -> None:
        with pytest.raises(FedctrError, match=r"'a\[x=1, x=2\]': option x is given twice"):
            parse("a[x=1, x=2]")

    def test_commas_within_brackets_do_not_split(self) -> None:
        assert split_specs("a[x=1,y=[2,3]], b,,c") == ["a[x=1,y=[2,3]]", "b", "c"]

    @given(
        name=st.from_regex(r"[a-z][a-z0-9-]*", fullmatch=True),
        options=st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), st.integers() | st.booleans(), max_size=4),
    )
    def test_what_is_written_is_read(self, name: str, options: dict[str, int]) -> None:
        pairs = ",".join(f"{key}={str(value).lower()}" for key, value in options.items())
        assert parse(f"{name}[{pairs}]") == Spec(name, options)


class TestFinding:
    def test_named_classes_of_the_package_are_found(self, shapes: Registry[Shape]) -> None:
        """Neither a class without a name nor one that is only imported there."""
        assert list(shapes.classes()) == ["square"]

    def test_entry_points_are_found(self, shapes: Registry[Shape], monkeypatch: pytest.MonkeyPatch) -> None:
        announce(monkeypatch, "tests.test_registry:Circle")
        assert list(shapes.classes()) == ["circle", "square"]

    def test_what_is_installed_is_read_once_until_something_else_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read, entry_points = list[str](), importlib.metadata.entry_points

        def counted(group: str) -> EntryPoints:
            read.append(group)
            return entry_points(group=group)

        monkeypatch.setattr(importlib.metadata, "entry_points", counted)
        monkeypatch.syspath_prepend(str(tmp_path))
        assert [announced("fedctr.shapes"), announced("fedctr.shapes")] == [(), ()]
        assert read == ["fedctr.shapes"]
        facts = tmp_path / "rounds-1.0.dist-info"
        facts.mkdir()
        (facts / "entry_points.txt").write_text("[fedctr.shapes]\nround = rounds:Round\n")
        assert [point.value for point in announced("fedctr.shapes")] == ["rounds:Round"]

    def test_module_and_class_need_no_registration(self, shapes: Registry[Shape]) -> None:
        assert shapes.find("tests.test_registry:Circle") is Circle

    def test_an_unknown_name_is_answered_with_the_nearest(self, shapes: Registry[Shape]) -> None:
        with pytest.raises(FedctrError, match=r"^unknown shape 'sqare'; did you mean square\?$"):
            shapes.find("sqare")
        with pytest.raises(FedctrError, match=r"^unknown shape 'zzz'; known: square$"):
            shapes.find("zzz")

    def test_two_classes_of_one_name_are_both_named(self, shapes: Registry[Shape], shelf: Path) -> None:
        (shelf / "twin.py").write_text(SQUARE.replace("class Square", "class Twin"))
        with pytest.raises(FedctrError, match=r"named 'square': shapes.square:Square and shapes.twin:Twin; rename one"):
            shapes.classes()

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("tests.test_registry:Missing", r"entry point Missing = tests.test_registry:Missing .*Missing"),
            ("no_such_module:Circle", r"entry point Circle = no_such_module:Circle .*No module named"),
            ("pathlib:Path", r"entry point Path = pathlib:Path: not a shape; derive it from tests.test_registry.Shape"),
            ("tests.test_registry:Nameless", r"Nameless: give the class a name, such as name = 'my-shape'"),
        ],
    )
    def test_a_faulty_entry_point_is_named(
        self, shapes: Registry[Shape], monkeypatch: pytest.MonkeyPatch, value: str, message: str
    ) -> None:
        announce(monkeypatch, value)
        with pytest.raises(FedctrError, match=message):
            shapes.classes()

    @pytest.mark.parametrize(
        ("source", "name", "message"),
        [
            ("", "nowhere:Square", "shape 'nowhere:Square': No module named 'nowhere'; run from the folder"),
            ("", "stranger:Square", "shape 'stranger:Square': module 'stranger' has no attribute 'Square'"),
            *(
                ("", name, f"shape {name!r}: expected module:Class")
                for name in (":", "./a:B", "..:B", "a.py:B", "a:", "a:b:c")
            ),
            ("1 / 0", "stranger:Square", "importing it raised ZeroDivisionError: division by zero"),
            ("Square = 3", "stranger:Square", "stranger:Square: not a shape; derive it from"),
        ],
    )
    def test_a_faulty_module_is_named(
        self, shapes: Registry[Shape], shelf: Path, source: str, name: str, message: str
    ) -> None:
        (shelf.parent / "stranger.py").write_text(source)
        with pytest.raises(FedctrError) as caught:
            shapes.find(name)
        assert message in str(caught.value)


class TestCreating:
    def test_options_become_keyword_arguments(self, shapes: Registry[Shape]) -> None:
        made = shapes.create("tests.test_registry:Circle[radius=2.5]", "red")
        assert made == Circle("red", 2.5)

    def test_an_unknown_option_is_answered_with_those_there_are(self, shapes: Registry[Shape]) -> None:
        with pytest.raises(FedctrError, match="shape square has no option 'colour'; it has side"):
            shapes.create("square[colour=red]")

    def test_what_is_given_by_position_is_no_option(self, shapes: Registry[Shape]) -> None:
        with pytest.raises(FedctrError, match="has no option 'colour'; it has radius"):
            shapes.create("tests.test_registry:Circle[colour=red]", "red")

    def test_a_value_that_the_class_refuses(self, shapes: Registry[Shape]) -> None:
        with pytest.raises(FedctrError, match=r"shape '.*': radius is -1; it must not be negative"):
            shapes.create("tests.test_registry:Circle[radius=-1]", "red")

    def test_a_value_that_is_missing(self, shapes: Registry[Shape]) -> None:
        with pytest.raises(FedctrError, match="missing 1 required positional argument: 'colour'"):
            shapes.create("tests.test_registry:Circle")
