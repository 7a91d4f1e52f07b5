"""The page as a browser and a screen reader find it."""

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from fedctr.report.page import Cell, Figure, Listing, Report, Section, Table, Text, number, render, words
from fedctr.report.report import report_of
from fedctr.summary import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

HOSTILE = "<script>alert('x')</script> & \"quoted\""


class Page(HTMLParser):
    """The tags of a page, and the text of its headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[tuple[int, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_data(self, data: str) -> None:
        if self.tags and re.fullmatch("h[1-6]", self.tags[-1][0]):
            level, text = self.headings.pop()
            self.headings.append((level, (text + data).strip()))

    def having(self, attribute: str) -> list[str]:
        return [found for _, attributes in self.tags if (found := attributes.get(attribute))]

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="module")
def text(reference: Result) -> str:
    return render([report_of(reference.folder)], "a test")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_it_answers_from_the_top_down(page: Page) -> None:
    assert page.headings == [
        (1, "din[embedding=4,hidden=[8],attention=4,history=5] on synthetic[users=50]"),
        (2, "Does it help?"),
        (2, "The strategies side by side"),
        (2, "Who gains"),
        (2, "Calibration, before and after"),
        (2, "Users most helped and most harmed"),
        (2, "How it was tuned and trained"),
        (2, "How it was made"),
    ]


def test_every_figure_says_what_it_shows_and_has_its_numbers(page: Page, text: str) -> None:
    figures = text.split("<figure")[1:]
    assert len(figures) == page.count("svg") == 7
    for figure in figures:
        shown = figure.partition("</figure>")[0]
        assert 'role="img" aria-label="' in shown
        assert shown.count("<table>") == 1
        assert shown.count("<tr>") > 1


def test_nothing_outside_the_file_is_asked_for(page: Page, text: str) -> None:
    assert [link for link in page.having("href") + page.having("src") if not link.startswith(("#", "data:"))] == []
    assert "default-src 'none'" in text
    assert not re.search(r"url\((?!#)|@import", text)


def test_ids_are_there_once_and_all_links_lead_somewhere(page: Page) -> None:
    ids = page.having("id")
    assert len(ids) == len(set(ids))
    wanted = [link[1:] for link in page.having("href") if link.startswith("#")]
    assert set(wanted) <= set(ids)


def test_tables_can_be_scrolled_and_sorted_from_the_keyboard(page: Page) -> None:
    regions = [attributes for _, attributes in page.tags if attributes.get("role") == "group"]
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in regions)
    assert page.count("table") == page.count("caption") == len(regions) - 1  # the other one is the configuration
    columns = sum(attributes.get("scope") == "col" for _, attributes in page.tags)
    assert page.count("button") == columns > 0


def test_what_users_have_named_is_text_and_no_markup() -> None:
    def draw(canvas: "Canvas") -> None:
        canvas.subplots().set_title(HOSTILE)

    table = Table(HOSTILE, (HOSTILE, "x"), ((*words(HOSTILE), number(1.0)),), note=HOSTILE)
    figure = Figure("name", HOSTILE, HOSTILE, (3, 2), draw, table)
    section = Section(HOSTILE, (Text(HOSTILE), table, figure, Listing(HOSTILE, HOSTILE)))
    written = render([Report(HOSTILE, HOSTILE, HOSTILE, HOSTILE, (section,))], HOSTILE)
    assert "<script>alert" not in written
    assert Page(written).count("script") == 1


def test_a_table_is_sorted_by_numbers_not_by_how_they_look() -> None:
    rows = (
        (*words("a"), number(1234.0, ",.0f")),
        (*words("b"), number(None)),
        (*words("c"), Cell("+0.1 [+0.0, +0.2]", 0.1)),
    )
    table = Table("caption", ("name", "value"), rows)
    assert table.numeric == (False, True)
    written = render([Report("t", "f", "o", "a", (Section("s", (table,)),))], "a test")
    cells = re.findall(r'<td class="number"( data-value="[^"]*")?>([^<]*)</td>', written)
    assert cells == [
        (' data-value="1234.0"', "1,234"),
        (' data-value=""', "-"),
        (' data-value="0.1"', "+0.1 [+0.0, +0.2]"),
    ]


def test_several_runs_have_a_part_each_below_one_heading(reference: Result) -> None:
    report = report_of(reference.folder)
    page = Page(render([report, report], "a test"))
    assert [text for level, text in page.headings if level == 1] == ["2 runs"]
    assert [text for level, text in page.headings if level == 2] == ["What they found", *[report.title] * 2]
    assert [text for level, text in page.headings if level == 3] == [part.title for part in report.sections] * 2
    ids = page.having("id")
    assert len(ids) == len(set(ids))
