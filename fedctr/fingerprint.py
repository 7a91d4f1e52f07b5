"""Whether the code of a class is still the same, so that what it computed before may be used again."""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.machinery import SOURCE_SUFFIXES, ModuleSpec, PathFinder
from pathlib import Path

from fedctr.errors import FedctrError
from fedctr.registry import SHIPPED, full_name

# These find classes and speak to the user; nothing that is computed depends on them.
_ASIDE = {"fedctr", "fedctr.errors", "fedctr.fingerprint", "fedctr.live", "fedctr.progress", "fedctr.registry"}
_INSTALLED = {"site-packages", "dist-packages"}


@cache
def fingerprint(cls: type) -> str:
    """Identifies a class by its name and the source of all its :func:`modules_of`.

    Another text of one of them, be it but a comment, is another fingerprint. Equal texts have the same one on every
    machine, wherever they lie there and whatever was imported before. A source is read when the fingerprint is first
    asked for: an edit counts once the class is imported anew, as it does for what the class computes.

    Raises:
        FedctrError: when a source cannot be read.
    """
    digest = hashlib.sha256()
    for name, source in _sources(cls).items():
        digest.update(f"{name} {len(source)}\n".encode() + source)
    return f"{full_name(cls)} {digest.hexdigest()[:16]}"


def modules_of(cls: type) -> list[str]:
    """Names of the modules whose source decides what a class computes, sorted.

    They are its own, those of its base classes, the packages around these, what they import, in a function too, and
    so on. Of all these count:

    - what comes with fedctr, without the modules that only find classes or speak to the user;
    - the package of the class, and what lies in the same folder as this package or the class's file, unless that is a
      folder of installed distributions, which have nothing to do with each other.

    So PyTorch does not, nor what is imported for type checkers only, or under a name made when the program runs.

    Raises:
        FedctrError: when a source cannot be read.
    """
    return list(_sources(cls))


def _sources(cls: type) -> dict[str, bytes]:
    own = _top(cls.__module__)
    found: dict[str, bytes] = {}
    left = [base.__module__ for base in cls.__mro__]
    while left:
        name = left.pop()
        if name in found or name in _ASIDE or not _counts(_top(name), own):
            continue
        if spec := _spec(name):
            found[name] = _source(spec)
            around = name.rpartition(".")[0]
            left += [around] if around else []
            left += _imports(found[name], name if spec.submodule_search_locations else around) if _is_text(spec) else ()
    if not found.get(cls.__module__):
        raise FedctrError(f"{full_name(cls)}: no file holds its source, so a change would go unseen; put it into one")
    return dict(sorted(found.items()))


def _top(module: str) -> str:
    return module.partition(".")[0]


def _counts(top: str, own: str) -> bool:
    """Whether a top-level module belongs to fedctr or to the same work as another one."""
    if top in (*SHIPPED, own):
        return True
    folder = _folder(own)
    return folder is not None and folder.name not in _INSTALLED and folder == _folder(top)


def _folder(top: str) -> Path | None:
    """Where the file or the package of a top-level module lies."""
    spec = _spec(top)
    if spec and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).parent
    return Path(spec.origin).parent if spec and spec.origin and spec.has_location else None


def _spec(name: str) -> ModuleSpec | None:
    """Where a module is, without importing it or, as Python's own search would, its packages; None if there is none."""
    module = sys.modules.get(name)
    if module is not None and module.__spec__ is not None:
        return module.__spec__
    if module is not None:  # a script
        file = getattr(module, "__file__", None)
        return importlib.util.spec_from_file_location(name, file) if file else None
    package = name.rpartition(".")[0]
    if not package:
        return importlib.util.find_spec(name)
    above = _spec(package)
    return (
        PathFinder.find_spec(name, above.submodule_search_locations)
        if above and above.submodule_search_locations
        else None
    )


def _source(spec: ModuleSpec) -> bytes:
    """The text of a module with the same line ends everywhere, or the bytes of a compiled one."""
    if not (spec.origin and spec.has_location):
        return b""  # a folder without __init__.py, or a part of Python
    try:
        data: bytes = spec.loader.get_data(spec.origin)  # type: ignore[union-attr]
        return importlib.util.decode_source(data).encode() if _is_text(spec) else data
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise FedctrError(
            f"{spec.origin}: cannot be read ({error}), so what is kept cannot be told from old"
        ) from error


def _is_text(spec: ModuleSpec) -> bool:
    return bool(spec.origin and spec.has_location) and Path(str(spec.origin)).suffix in SOURCE_SUFFIXES


@lru_cache(maxsize=1024)
def _imports(source: bytes, package: str) -> tuple[str, ...]:
    """All that may be a module in the import statements of a text."""
    try:
        return tuple(_named(ast.parse(source), package))
    except SyntaxError:
        return ()  # nobody can have imported it


def _named(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        home = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        yield home
        yield from (f"{home}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        for other in node.orelse:
            yield from _named(other, package)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _named(child, package)
