"""Which clicks the samples of a step read one after the other.

Samples whose histories begin with the same click read the same ones, some farther than others: they share a run of
clicks, which goes as far as the farthest of them. Runs and samples are lined up by how many clicks they have, the most
first, so that those which have a place of that number are always the first ones.
"""

from fedctr.fused.compiled import compiled
from fedctr.fused.plan import CLICK, SAMPLE
from fedctr.fused.state import Device
from fedctr.fused.tiles import FEW

# Rows of Device.runs: the samples in that line, and the run of each; the first click of each run; of each click, the
# run that begins with it; by place, its number, how many runs have it, and the row that the first of these has in the
# rows of all places; the same of samples.
LINE, RUN, FIRST, BEGUN, PLACE, RUNS, RUN_ROW, SAMPLES, SAMPLE_ROW = range(9)


@compiled
def clicks_of(device: Device, sample: int) -> int:
    """How many clicks a sample reads."""
    return max(int(device.history[sample, 1] - device.history[sample, 0]), 0)


@compiled
def rounded(count: int) -> int:
    """So many rows, and those that a product computes along with them in the same time."""
    return (count + FEW - 1) // FEW * FEW


@compiled
def line_up(device: Device, places: int) -> None:
    """Fill in :attr:`Device.runs`, for histories of up to so many places."""
    runs = device.runs
    for click in range(device.rows[CLICK]):
        runs[BEGUN, click] = 0
    for place in range(places + 1):
        runs[PLACE, place], runs[RUNS, place], runs[SAMPLES, place] = place, 0, 0
    # At first there stands how many clicks a run has, and how many runs and samples have a number of clicks.
    for sample in range(device.rows[SAMPLE]):
        clicks, first = clicks_of(device, sample), device.history[sample, 0]
        runs[SAMPLES, clicks] += 1
        if clicks:
            runs[BEGUN, first] = max(runs[BEGUN, first], clicks)
    for click in range(device.rows[CLICK]):
        if runs[BEGUN, click]:
            runs[RUNS, runs[BEGUN, click]] += 1
    _longer(device, RUNS, RUN_ROW, places)
    _longer(device, SAMPLES, SAMPLE_ROW, places)
    for click in range(device.rows[CLICK]):
        clicks = runs[BEGUN, click]
        if clicks:
            runs[BEGUN, click] = runs[RUN_ROW, clicks]
            runs[FIRST, runs[RUN_ROW, clicks]] = click
            runs[RUN_ROW, clicks] += 1
    for sample in range(device.rows[SAMPLE]):
        clicks = clicks_of(device, sample)
        line = runs[SAMPLE_ROW, clicks]
        runs[SAMPLE_ROW, clicks] += 1
        runs[LINE, line] = sample
        if clicks:
            runs[RUN, line] = runs[BEGUN, device.history[sample, 0]]
    _rows(device, RUNS, RUN_ROW, places)
    _rows(device, SAMPLES, SAMPLE_ROW, places)


@compiled
def _longer(device: Device, counts: int, following: int, places: int) -> None:
    """From how many have so many clicks to how many have more, behind which the former follow."""
    longer = 0
    for clicks in range(places, -1, -1):
        same = device.runs[counts, clicks]
        device.runs[counts, clicks] = device.runs[following, clicks] = longer
        longer += same


@compiled
def _rows(device: Device, counts: int, rows: int, places: int) -> None:
    row = 0
    for place in range(places + 1):
        device.runs[rows, place] = row
        row += rounded(device.runs[counts, place])
