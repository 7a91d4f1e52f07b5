"""What ``fedctr data describe`` prints."""

from rich.console import Console
from rich.table import Table

from fedctr.data.describe import FAR, Description, Drift, histogram

_WIDTH = 40  # characters of the longest bar


def show(description: Description, drift: Drift) -> None:
    """Print the figures of a data set, quantiles over its users, and how many users have which local CTR."""
    console = Console()
    console.print(_figures(description), _quantiles(description), sep="\n")
    console.print(_bars(drift))


def _figures(description: Description) -> Table:
    table = Table(show_header=False, title=description.dataset, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    for name, figure in (
        ("users", f"{description.users:,}"),
        ("items", f"{description.items:,}"),
        ("samples", f"{description.samples:,}"),
        ("CTR of all samples", f"{description.ctr:.3f}"),
        ("global CTR (training)", f"{description.global_ctr:.3f}"),
        ("mean absolute drift", f"{description.mean_absolute_drift:.3f}"),
        (f"users with drift beyond {FAR:g}", f"{description.share_drifting_far:.1%}"),
        ("users with one class in test", f"{description.one_class_test_users:,}"),
        ("malformed rows left out", f"{description.bad_rows:,}"),
    ):
        table.add_row(name, figure)
    return table


def _quantiles(description: Description) -> Table:
    table = Table("over users", title="quantiles", title_justify="left")
    for percent in description.drift:
        table.add_column(f"{percent.removeprefix('p')} %", justify="right")
    for name, quantiles, form in (
        ("local CTR", description.local_ctr, ".3f"),
        ("drift (local - global CTR)", description.drift, "+.3f"),
        ("samples per user", description.samples_per_user, ",.0f"),
    ):
        table.add_row(name, *(format(value, form) for value in quantiles.values()))
    return table


def _bars(measured: Drift) -> Table:
    table = Table("local CTR", "users", "", box=None, title="users by local CTR", title_justify="left")
    bars = histogram(measured.local_ctr)
    tallest = max(height for _, height in bars)
    nearest = min(range(len(bars)), key=lambda bar: abs(bars[bar][0] - measured.global_ctr))
    for bar, (centre, height) in enumerate(bars):
        mark = f"  global CTR {measured.global_ctr:.3f}" if bar == nearest else ""
        table.add_row(f"{centre:.2f}", f"{height:,}", "█" * round(_WIDTH * height / tallest) + mark)
    return table
