"""Finding data sets, models and strategies by name, wherever they are installed."""

import importlib
import importlib.metadata
import inspect
import pkgutil
import re
import sys
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from fedctr.errors import FedctrError, did_you_mean

T = TypeVar("T")
SHIPPED = ("fedctr", "strategies", "clients")
_SPEC = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<options>.*)\])?", re.DOTALL)


@dataclass(frozen=True)
class Spec:
    """A name with options: ``label-correction[variant=shift,clip=true]``."""

    name: str
    options: dict[str, Any]


def parse(text: str) -> Spec:
    """Read ``name[option=value,...]``; a value is TOML, or a bare word standing for a string.

    Raises:
        FedctrError: when the text has another form.
    """
    match = _SPEC.fullmatch(text.strip())
    if not match:
        raise FedctrError(f"{text!r}: expected NAME or NAME[option=value,...]")
    options: dict[str, Any] = {}
    for pair in split_specs(match["options"] or ""):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise FedctrError(f"{text!r}: expected option=value, found {pair!r}")
        if key.strip() in options:
            raise FedctrError(f"{text!r}: option {key.strip()} is given twice")
        try:
            options[key.strip()] = tomllib.loads(f"value = {value.strip()}")["value"]
        except tomllib.TOMLDecodeError:
            options[key.strip()] = value.strip()
    return Spec(match["name"].strip(), options)


def split_specs(text: str) -> list[str]:
    """Split at the commas that stand outside brackets: ``a[x=1,y=2],b`` is ``a[x=1,y=2]`` and ``b``."""
    return [part for part in split_outside_brackets(text, ",") if part]


def split_outside_brackets(text: str, separator: str) -> list[str]:
    """Split at every separator that stands outside brackets, and strip blanks."""
    depth, parts = 0, [""]
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


class Registry(Generic[T]):
    """All classes of one kind: those of a package's modules, and those that entry points announce.

    Args:
        kind: the word for errors, such as ``"model"``.
        package: the package whose modules are searched.
        group: the entry-point group in which other distributions announce theirs.
        contract: the base class; each class carries its ``name`` as a class attribute.
    """

    def __init__(self, kind: str, package: str, group: str, contract: type[T]) -> None:
        self.kind, self.package, self.group, self.contract = kind, package, group, contract

    def classes(self) -> dict[str, type[T]]:
        """Name to class, sorted by name.

        Raises:
            FedctrError: when two classes claim one name, or something else shadows the package.
        """
        return {name: cls for name, (cls, _) in self.listed().items()}

    def listed(self) -> dict[str, tuple[type[T], str]]:
        """Name to class and the distribution that brings it, such as ``"fedctr"``, sorted by name.

        Raises:
            FedctrError: as :meth:`classes`.
        """
        found: dict[str, tuple[type[T], str]] = {}
        for cls, package in [*((cls, SHIPPED[0]) for cls in self._on_shelf()), *self._from_entry_points()]:
            name: str = cls.name  # type: ignore[attr-defined]
            first, _ = found.setdefault(name, (cls, package))
            if first is not cls:
                raise FedctrError(
                    f"two {self.kind} classes are named {name!r}: {full_name(first)} and {full_name(cls)}; rename one"
                )
        return dict(sorted(found.items()))

    def find(self, name: str) -> type[T]:
        """The class of a name, or of ``module:Class``.

        Raises:
            FedctrError: when there is none, with the nearest names.
        """
        if ":" in name:
            return self._imported(name)
        classes = self.classes()
        if name not in classes:
            hint = did_you_mean(name, classes) or f"known: {', '.join(classes)}"
            raise FedctrError(f"unknown {self.kind} {name!r}; {hint}")
        return classes[name]

    def named(self, text: str, arguments: int = 0) -> type[T]:
        """The class that a spec names, whose options are known; the first so many of its parameters are no options.

        Raises:
            FedctrError: for an unknown name or option.
        """
        spec = parse(text)
        cls = self.find(spec.name)
        known = list(inspect.signature(cls).parameters)[arguments:]
        for option in spec.options:
            if option not in known:
                raise FedctrError(
                    f"{self.kind} {spec.name} has no option {option!r}; it has {', '.join(known) or 'none'}"
                )
        return cls

    def create(self, text: str, *arguments: object) -> T:
        """Build what a spec names; its options become keyword arguments.

        Raises:
            FedctrError: for an unknown name or option, or a value that the class refuses.
        """
        cls = self.named(text, len(arguments))
        try:
            return cls(*arguments, **parse(text).options)
        except FedctrError:
            raise
        except (Exception, SystemExit) as error:  # a stranger's class may refuse its options in any way
            kind = "" if isinstance(error, TypeError | ValueError) else f"{type(error).__name__}: "
            raise FedctrError(f"{self.kind} {text!r}: {kind}{error}") from error

    def _on_shelf(self) -> list[type[T]]:
        package = import_unshadowed(self.package)
        modules = pkgutil.iter_modules(package.__path__, f"{self.package}.")
        return [cls for module in modules for cls in self._defined_in(importlib.import_module(module.name))]

    def _defined_in(self, module: object) -> list[type[T]]:
        return [
            cls
            for cls in vars(module).values()
            if inspect.isclass(cls)
            and issubclass(cls, self.contract)
            and "name" in vars(cls)
            and cls.__module__ == getattr(module, "__name__", "")
        ]

    def _from_entry_points(self) -> list[tuple[type[T], str]]:
        found = []
        for point in announced(self.group):
            try:
                cls = point.load()
            except (Exception, SystemExit) as error:  # a stranger's module may fail in any way while it is imported
                kind = "" if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: "
                raise FedctrError(f"entry point {point.name} = {point.value} ({self.group}): {kind}{error}") from error
            checked = self._checked(cls, f"entry point {point.name} = {point.value}")
            found.append((checked, point.dist.name if point.dist else ""))
        return found

    def _imported(self, name: str) -> type[T]:
        module, _, attribute = name.partition(":")
        if module.endswith(".py") or not all(part.isidentifier() for part in (*module.split("."), attribute)):
            raise FedctrError(f"{self.kind} {name!r}: expected module:Class, such as my_module:MyClass")
        try:
            cls = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise FedctrError(
                f"{self.kind} {name!r}: {error}; run from the folder that holds it, or install it"
            ) from error
        except AttributeError as error:
            raise FedctrError(f"{self.kind} {name!r}: {error}") from error
        except (Exception, SystemExit) as error:  # a stranger's module may fail in any way while it is imported
            raise FedctrError(f"{self.kind} {name!r}: importing it raised {type(error).__name__}: {error}") from error
        return self._checked(cls, name)

    def _checked(self, cls: object, where: str) -> type[T]:
        if not (inspect.isclass(cls) and issubclass(cls, self.contract)):
            raise FedctrError(
                f"{where}: not a {self.kind}; derive it from {self.contract.__module__}.{self.contract.__name__}"
            )
        if not isinstance(getattr(cls, "name", None), str):
            raise FedctrError(f"{where}: give the class a name, such as name = 'my-{self.kind}'")
        return cls


def announced(group: str) -> tuple[importlib.metadata.EntryPoint, ...]:
    """The entry points of a group."""
    return _announced(group, tuple((folder, _changed(folder)) for folder in sys.path))


@lru_cache(maxsize=16)
def _announced(group: str, path: tuple[tuple[str, int], ...]) -> tuple[importlib.metadata.EntryPoint, ...]:
    # Which reads the facts of every installed distribution, so it is done once for each state of the import path.
    return tuple(importlib.metadata.entry_points(group=group))


def _changed(folder: str) -> int:
    """When something was last put into a folder or taken out, in nanoseconds; 0 if it is not there."""
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0


def import_unshadowed(name: str) -> ModuleType:
    """Import a package, which must be our own if it goes by the name of one that comes with fedctr.

    Raises:
        FedctrError: when another folder of the same name comes first on the import path.
    """
    top = importlib.import_module(name.partition(".")[0])
    home, found = Path(__file__).parents[1], Path(next(iter(top.__path__)))
    if top.__name__ in SHIPPED and found.parent.resolve() != home.resolve():
        raise FedctrError(
            f"{found}: shadows the package {top.__name__} that comes with fedctr; rename this folder, "
            "or keep it off the import path"
        )
    return importlib.import_module(name)


def is_shipped(cls: type) -> bool:
    """Whether a class comes with fedctr."""
    return cls.__module__.partition(".")[0] in SHIPPED


def full_name(cls: type) -> str:
    """The module of a class and its name in there."""
    return f"{cls.__module__}:{cls.__qualname__}"
