"""What each arm of an A/B test costs its devices, side by side."""

from collections.abc import Mapping
from typing import Any

from fedctr.block import Block, text

COLUMNS = ("samples", "time", "operations", "memory", "down", "up")
CAPTION = (
    "A night of a median device on the last day, dry run included: time on one core of this machine, floating-point "
    "operations of matrix products, memory for what is tuned, an optimiser's moments, activations, and a memory of "
    "samples. Down and up, for each user and day, is what the method sends: published models, and the features of "
    "candidates that the device ranks; no sample, label or weight upwards; what was shown and clicked is logged in "
    "every arm alike."
)


def render_bill(found: Mapping[str, Mapping[str, Any]]) -> str:
    """A table with a row for each arm, as text."""
    lines = [[arm, *(told for told, _ in cells_of(entry))] for arm, entry in found.items()]
    return text([Block("What it costs a device", ["arm", *COLUMNS], lines, left=1)], CAPTION)


def cells_of(entry: Mapping[str, Any]) -> list[tuple[str, float]]:
    """What stands in the columns, in words and as a number."""
    return [
        (format(entry["samples"], ",.0f"), entry["samples"]),
        (f"{1000 * entry['seconds']:,.1f} ms", entry["seconds"]),
        (f"{entry['operations'] / 1e6:,.1f} M", entry["operations"]),
        *((f"{entry[key] / 1000:,.1f} kB", entry[key]) for key in ("memory_bytes", "bytes_down", "bytes_up")),
    ]
