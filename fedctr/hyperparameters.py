"""Ranges that hyperparameters lie in; each check names the one that does not."""

from typing import Any, get_args


def is_number(value: object) -> bool:
    """Whether a value is a number; in Python true and false are whole numbers, too, and here they are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_share(**shares: float) -> None:
    """Refuse what is no share of a whole that leaves something on either side.

    Raises:
        ValueError: when one is no number above 0 and below 1.
    """
    for name, share in shares.items():
        if not is_number(share) or not 0 < share < 1:
            raise ValueError(f"{name} {share!r} must be a number between 0 and 1")


def check_positive(**numbers: float) -> None:
    """Refuse what is not above 0.

    Raises:
        ValueError: when one is no finite number above 0.
    """
    for name, number in numbers.items():
        if not is_number(number) or not 0 < number < float("inf"):
            raise ValueError(f"{name} {number!r} must be a number above 0")


def check_not_negative(**numbers: float) -> None:
    """Refuse what is below 0.

    Raises:
        ValueError: when one is no finite number of at least 0.
    """
    for name, number in numbers.items():
        if not is_number(number) or not 0 <= number < float("inf"):
            raise ValueError(f"{name} {number!r} must be a number of at least 0")


def check_count(least: int = 1, /, **counts: int) -> None:
    """Refuse what counts too few.

    Raises:
        ValueError: when one is no whole number, or below the least.
    """
    for name, count in counts.items():
        if not is_number(count) or not isinstance(count, int) or count < least:
            raise ValueError(f"{name} {count!r} must be a whole number of at least {least}")


def check_choice(kind: Any, **words: str) -> None:
    """Refuse a word that a ``Literal`` type does not have.

    Raises:
        ValueError: when one is none of them.
    """
    for name, word in words.items():
        if word not in get_args(kind):
            raise ValueError(f"{name} {word!r} is none of {', '.join(get_args(kind))}")
