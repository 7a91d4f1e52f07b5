"""How the files of a data set are read: what becomes of malformed rows, and who hears of progress."""

from typing import Literal

from fedctr.errors import FedctrError
from fedctr.progress import Reporter, Silent

OnBadRow = Literal["stop", "skip"]
EXAMPLES = 5


class Reading:
    """One pass over the files of a data set.

    Args:
        on_bad_row: ``stop`` raises at the first malformed row, ``skip`` leaves such rows out and counts them.
        reporter: hears of progress; None for silence.

    Attributes:
        bad_rows: how many were skipped.
        examples: what was wrong with the first of them, a line each.
    """

    def __init__(self, on_bad_row: OnBadRow = "stop", reporter: Reporter | None = None) -> None:
        self.on_bad_row = on_bad_row
        self.reporter: Reporter = reporter or Silent()
        self.bad_rows = 0
        self.examples: list[str] = []

    def refuse(self, fault: FedctrError, rows: int = 1) -> None:
        """Take note of malformed rows, the first of which the fault describes.

        Raises:
            FedctrError: the fault, if reading stops at malformed rows.
        """
        if self.on_bad_row == "stop":
            raise fault
        self.bad_rows += rows
        if len(self.examples) < EXAMPLES:
            self.examples.append(str(fault))
