"""What the checks of all contracts have in common."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What one check of a contract found.

    Attributes:
        rule: what was checked, as a sentence about the class.
        fault: how the class breaks it; empty if it does not.
    """

    rule: str
    fault: str = ""


def frozen(found: object) -> Finding:
    """Whether an object is one of a frozen dataclass, all of whose fields can be hashed."""
    rule = "is a frozen dataclass"
    if not dataclasses.is_dataclass(found):
        return Finding(rule, "decorate the class with @dataclass(frozen=True)")
    try:
        hash(found)
    except TypeError as error:
        return Finding(
            rule, f"{error}: the dataclass is not frozen, or a field can be changed (give tuples, not lists)"
        )
    return Finding(rule)


def described(cls: type, what: str) -> Finding:
    """Whether a class has a docstring of its own; ``what`` it should say ends the rule."""
    # A dataclass without a docstring gets its signature as one.
    own = cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}(")
    return Finding(f"says in its docstring what it {what}", "" if own else "the class has no docstring")


def raised(work: Callable[[], object]) -> str:
    """What some work of a stranger's raises, which may even call ``sys.exit``, on one line; empty if nothing."""
    try:
        work()
    except (Exception, SystemExit) as error:
        return line(error)
    return ""


def line(error: BaseException) -> str:
    """An error on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
