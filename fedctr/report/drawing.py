"""How the figures of a report are drawn: for the page in its own colours, for papers as files."""

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedctr.folder import write_whole
from fedctr.palette import AMBER, BLACK, BLUE, GREEN, PINK, SKY, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

NARROW = 4.4  # inches: on a phone of 360 pixels a letter of 9 points is then as high as the smallest one of 8 points
INK, MUTED, RULE, PAPER = BLACK, "#666666", "#dddddd", "#ffffff"
# The page has a light and a dark value for each.
_VARIABLES = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    BLUE: "var(--blue)",
    VERMILLION: "var(--vermillion)",
    GREEN: "var(--green)",
    PINK: "var(--pink)",
    SKY: "var(--sky)",
    AMBER: "var(--amber)",
}
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_SETTINGS: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.titlesize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.5,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
}


def inline(name: str, size: tuple[float, float], draw: Callable[["Canvas"], None]) -> str:
    """A figure as SVG within a page: its text is text, its colours are those of the page."""
    file = io.BytesIO()
    _save(file, kind="svg", name=name, size=size, draw=draw, letters=True)
    return recoloured(file.getvalue().decode(), name)


def save(name: str, size: tuple[float, float], draw: Callable[["Canvas"], None], folder: Path) -> list[Path]:
    """A figure as ``NAME.svg`` and ``NAME.png``; equal numbers give equal bytes.

    Raises:
        FedctrError: when a file cannot be written.
    """
    files = [folder / f"{name}.svg", folder / f"{name}.png"]
    for file in files:
        kind = file.suffix[1:]
        write_whole(file, partial(_save, kind=kind, name=name, size=size, draw=draw, letters=False))
    return files


def recoloured(svg: str, name: str) -> str:
    """What Matplotlib has written, as a part of a page: colours follow light and dark, no id is there twice.

    Args:
        svg: a file.
        name: of the figure, no other one on the page has it.
    """
    root = ET.fromstring(svg)
    for parent, tag in ((root, "metadata"), (root.find(f"{_SVG}defs"), "style")):  # the style would be the page's
        child = None if parent is None else parent.find(_SVG + tag)
        if parent is not None and child is not None:
            parent.remove(child)
    wanted = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        own = element.attrib.pop("id", None)
        if own in wanted:
            element.set("id", f"{name}-{own}")
        if _LINK in element.attrib:
            element.set("href", element.attrib.pop(_LINK).replace("#", f"#{name}-", 1))
        for key in ("style", "clip-path"):
            if key in element.attrib:
                element.set(key, _restyled(element.attrib[key]).replace("url(#", f"url(#{name}-"))
    box = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib |= {"viewBox": box, "fill": "currentColor"}
    return re.sub(r">\s+<", "><", ET.tostring(root, encoding="unicode"))


def shortened(name: str, most: int) -> str:
    """As many characters of a name as there is room for."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def tidy(axes: "Axes", grid: str = "y") -> None:
    """Without frame, with a faint grid."""
    axes.grid(axis=grid)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)


def stack(canvas: "Canvas", names: Sequence[str], y: str, *, above: float = 0.1, below: float = 0.55) -> "list[Axes]":
    """Panels one below the other, each with its name above it, that share both axes.

    Args:
        canvas: an empty one.
        names: of the panels.
        y: what stands along it.
        above: inches that are left at the top.
        below: inches that are left at the bottom for the labels of x.
    """
    width, height = canvas.get_size_inches()
    panels = canvas.subplots(len(names), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    free = (height - above - below) / len(names)
    canvas.subplots_adjust(
        left=0.75 / width,
        right=1 - 0.1 / width,
        top=1 - (above + 0.22) / height,
        bottom=below / height,
        hspace=0.28 / (free - 0.28),
    )
    canvas.supylabel(y, x=0.05 / width, ha="left", fontsize=9)
    for panel, name in zip(panels, names, strict=True):
        panel.text(0, 1.03, shortened(name, 50), transform=panel.transAxes, fontsize=9, va="bottom")
        tidy(panel)
    return list(panels)


def _restyled(style: str) -> str:
    """Without the typeface, which is that of the page."""
    style = re.sub(r"font-family: [^;]*;? ?", "", style)
    style = re.sub(r"font: ([0-9.]+)px [^;]*", r"font-size: \1px", style)
    return re.sub("#[0-9a-f]{6}", lambda colour: _VARIABLES.get(colour[0], colour[0]), style)


def _save(
    file: Path | io.BytesIO,
    *,
    kind: str,
    name: str,
    size: tuple[float, float],
    draw: Callable[["Canvas"], None],
    letters: bool,
) -> None:
    from matplotlib import rc_context  # takes a second to import, which other commands need not spend
    from matplotlib.figure import Figure as Canvas

    with rc_context({**_SETTINGS, "svg.hashsalt": name, "svg.fonttype": "none" if letters else "path"}):
        canvas = Canvas(figsize=size)
        draw(canvas)
        canvas.savefig(file, format=kind, dpi=200, metadata={"Date": None} if kind == "svg" else None)
