"""Strategies that are tried in the search and are not on the shelf."""

import re
from dataclasses import dataclass
from typing import ClassVar

from fedctr.strategy import ClientStrategy


@dataclass(frozen=True)
class Only(ClientStrategy):
    """Fine-tune the parameters whose names match a pattern from the beginning.

    Attributes:
        pattern: a regular expression.
    """

    name: ClassVar[str] = "only"

    pattern: str = ""

    def trainable(self, parameter: str) -> bool:
        """Whether the name matches."""
        return bool(re.match(self.pattern, parameter))
