import re
from pathlib import Path
from typing import TYPE_CHECKING

from fedctr.palette import BLUE
from fedctr.report.drawing import INK, MUTED, inline, save, stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

SIZE = (4.4, 2.0)


def draw(canvas: "Canvas") -> None:
    for panel in stack(canvas, ["one & only", "other"], "y"):
        panel.plot([0, 1, 2], [0, 1, 0], "o-", color=BLUE)
        panel.axhline(0, color=MUTED)
        panel.plot([0, 1], [0.5, 0.5], color=INK)


def test_on_a_page_colours_are_those_of_the_page_and_text_is_text() -> None:
    svg = inline("name", SIZE, draw)
    assert svg.startswith("<svg")
    assert not re.search("#[0-9a-f]{6}", svg)
    assert {"var(--blue)", "var(--muted)", "var(--rule)", "var(--paper)"} <= set(re.findall(r"var\(--\w+\)", svg))
    assert ">one &amp; only</text>" in svg
    assert "font-family" not in svg
    assert "<metadata" not in svg
    assert "<style" not in svg


def test_two_figures_on_a_page_share_no_id_and_every_reference_is_met() -> None:
    svgs = [inline(name, SIZE, draw) for name in ("name", "other")]
    ids = [found for svg in svgs for found in re.findall(r'\bid="([^"]+)"', svg)]
    assert len(ids) == len(set(ids)) > 0
    for svg in svgs:
        wanted = re.findall(r'(?:href="|url\()#([^")]+)', svg)
        assert set(wanted) == set(re.findall(r'\bid="([^"]+)"', svg))


def test_for_a_paper_a_figure_is_kept_as_svg_and_png_and_equal_numbers_give_equal_bytes(tmp_path: Path) -> None:
    once, again = (save("name", SIZE, draw, tmp_path / folder) for folder in ("once", "again"))
    assert [file.name for file in once] == ["name.svg", "name.png"]
    assert [file.read_bytes()[:5] for file in once] == [b"<?xml", b"\x89PNG\r"]
    assert [file.read_bytes() for file in once] == [file.read_bytes() for file in again]
