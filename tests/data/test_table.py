import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedctr.data.bundle import Bundle
from fedctr.data.reading import Reading
from fedctr.data.table import Format, Table, blocks, read
from fedctr.errors import FedctrError

Write = Callable[[str], Table]


@pytest.fixture
def table(tmp_path: Path) -> Write:
    """Reads a text as a file with the columns name and score."""

    def write(text: str) -> Table:
        (tmp_path / "t.txt").write_bytes(text.encode())
        return read(Bundle(tmp_path, "t.txt", "do without"), Format("t.txt", "|", ("name", "score")), Reading())

    return write


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="|\r\n\0"), max_size=5),
            st.integers(0, 10**18 - 1),
        ),
        min_size=1,
    )
)
def test_what_is_written_is_read(table: Write, rows: list[tuple[str, int]]) -> None:
    # A byte order mark at the very start is no content.
    got = table("".join(f"x{name}|{score}\n" for name, score in rows))
    assert got.columns["name"].to_pylist() == [f"x{name}" for name, _ in rows]
    assert got.whole("score", 0, 10**18).tolist() == [score for _, score in rows]


def test_quotes_and_words_for_null_are_plain_text(table: Write) -> None:
    assert table('"a|1\nNULL|2\nNA|3\n').columns["name"].to_pylist() == ['"a', "NULL", "NA"]


def test_decimal_numbers(table: Write) -> None:
    assert table("a|0.5\nb|4\nc|3.50\n").number("score", 0.5, 5).tolist() == [0.5, 4, 3.5]


@pytest.mark.parametrize(
    "value", ["", " 1", "1 ", "+1", "1e0", "1,5", "0x1", "nan", "NaN", "-inf", ".5", "½", "9" * 400]
)
def test_anything_else_is_no_number(table: Write, value: str) -> None:
    for method in ("whole", "number"):
        with pytest.raises(FedctrError, match=r"t.txt, line 2, field score: found '.*', expected a (whole )?number"):
            getattr(table(f"a|1\nb|{value}\nc|x\n"), method)("score", 0, 5)


@given(st.lists(st.sampled_from(["0", "7", "007", "-3", "0x1f", "5" * 18, "5" * 19, "", "/", ":", "٣"]), min_size=1))
def test_a_number_is_the_same_number_whatever_stands_beside_it(values: list[str]) -> None:
    found = Table("t", {"n": pa.array(values).slice(1)}, np.arange(len(values) - 1), "do without", Reading("skip"))
    numbers = found.whole("n", -3, 10**18)
    kept = [value for value in values[1:] if re.fullmatch("-?[0-9]{1,18}", value)]
    assert found.kept(numbers)[0].tolist() == [int(value) for value in kept]


def test_the_first_of_several_faults_is_named_with_the_whole_message(table: Write, tmp_path: Path) -> None:
    with pytest.raises(FedctrError) as caught:
        table("a|1\nb|9\nc|x\nd|7\n").require("score", np.array([True, False, True, False]), "less")
    assert str(caught.value) == (
        f"{tmp_path / 't.txt'}, line 2, field score: found '9', expected less; "
        "mend it, pass --on-bad-row skip, or do without"
    )


def test_a_long_value_is_cut_short(table: Write) -> None:
    with pytest.raises(FedctrError, match=r"found 'x{57}\.\.\.', expected"):
        table(f"a|{'x' * 1000}\n").whole("score", 0, 5)


def test_a_line_of_many_megabytes_is_no_obstacle(table: Write) -> None:
    assert len(table(f"{'x' * 3_000_000}|1\nb|2\n").columns["name"]) == 2


def test_only_blank_lines_are_an_empty_file(table: Write) -> None:
    with pytest.raises(
        FedctrError, match=r"t.txt: the file is empty; give a folder or archive with t.txt, or do without"
    ):
        table("\n\r\n\n")


class TestLinesThatAreNoRow:
    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            (b"b|\r2", "a carriage return within the line"),
            (b"b\0|2", r"a NUL byte in 'b\x00|2'"),
            (b"\rb|2", "a carriage return within the line"),
            (b"b|2\r\r", "a carriage return within the line"),
            (b'"b|2', "a quote out of place in '\"b|2'"),
            (b'b"|2', "a quote out of place in 'b\"|2'"),
            (b'x"b|"2', "a quote out of place in 'x\"b|\"2'"),
            (b'"b"c|2', "a quote out of place in '\"b\"c|2'"),
            (b"b\xe9|2", "byte 0xe9 is not utf-8 text"),
        ],
    )
    @pytest.mark.parametrize("end", [b"\n", b"\r\n"])
    def test_they_are_bad_rows_and_the_others_keep_their_lines(
        self, tmp_path: Path, line: bytes, problem: str, end: bytes
    ) -> None:
        (tmp_path / "t.txt").write_bytes(end.join([b"a|1", line, b'"c|""d"|3', b"e|4", b""]))
        bundle, form = Bundle(tmp_path, "t.txt", "do without"), Format("t.txt", "|", ("name", "score"), quoted=True)
        with pytest.raises(FedctrError, match=re.escape(f"t.txt, line 2: {problem}; mend it, pass --on-bad-row skip")):
            read(bundle, form, Reading())
        reading = Reading("skip")
        found = read(bundle, form, reading)
        assert found.columns["name"].to_pylist() == ["a", 'c|"d', "e"]
        assert (found.whole("score", 0, 9).tolist(), found.lines.tolist()) == ([1, 3, 4], [1, 3, 4])
        assert reading.bad_rows == 1

    def test_a_block_may_hold_no_row_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "t.txt").write_bytes(b'"a|1\n"b|2\n')
        form = Format("t.txt", "|", ("name", "score"), quoted=True)
        reading = Reading("skip")
        assert len(read(Bundle(tmp_path, "t.txt", "do without"), form, reading).lines) == 0
        assert reading.bad_rows == 2

    def test_fields_that_are_not_quoted_may_hold_any_number_of_quotes(self, table: Write) -> None:
        assert table('"a|1\nb"|2\n').columns["name"].to_pylist() == ['"a', 'b"']


class TestSkipping:
    def test_bad_rows_are_left_out_and_counted_with_the_first_of_each_fault(self, tmp_path: Path) -> None:
        (tmp_path / "t.txt").write_bytes(b"a|1\nshort\nc|x\nlong|2|3\ne|5\nf\xe9|7\ng|9\nh|11\n\n")
        reading = Reading("skip")
        form = Format("t.txt", "|", ("name", "score"))
        found = read(Bundle(tmp_path, "t.txt", "do without"), form, reading)
        scores, lines = found.kept(found.whole("score", 0, 9), found.lines)
        assert (scores.tolist(), lines.tolist()) == ([1, 5, 9], [1, 5, 7])
        assert reading.bad_rows == 5
        where = tmp_path / "t.txt"
        assert [example.partition(";")[0] for example in reading.examples] == [
            f"{where}, line 6: byte 0xe9 is not utf-8 text",
            f"{where}, line 2: found 1 fields, expected 2 (name, score) in 'short'",
            f"{where}, line 3, field score: found 'x', expected a whole number from 0 to 9",
        ]

    def test_a_row_is_counted_once_however_many_faults_it_has(self, tmp_path: Path) -> None:
        (tmp_path / "t.txt").write_text("a|x\nb|1\n")
        reading = Reading("skip")
        found = read(Bundle(tmp_path, "t.txt", "do without"), Format("t.txt", "|", ("name", "score")), reading)
        found.whole("score", 0, 9)
        found.require("name", np.array([False, True]), "another")
        assert (reading.bad_rows, found.good.tolist()) == (1, [False, True])


class TestBlocks:
    @pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
    def test_wherever_the_file_is_cut_rows_and_lines_are_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        monkeypatch.setattr("fedctr.data.bundle.CHUNK", size)
        rows = [(f"né{number}", number % 10) for number in range(20)]
        (tmp_path / "t.txt").write_text(
            "name::score \r\n" + "".join(f"{name}::{score}\r\n" for name, score in rows) + "\r\n\n", encoding="latin-1"
        )
        form = Format("t.txt", "::", ("name", "score"), encoding="latin-1", header="name::score")
        tables = list(blocks(Bundle(tmp_path, "t.txt", "do without"), form, Reading()))
        assert [name for table in tables for name in table.columns["name"].to_pylist()] == [name for name, _ in rows]
        assert [score for table in tables for score in table.whole("score", 0, 9)] == [score for _, score in rows]
        assert [line for table in tables for line in table.lines] == list(range(2, 22))

    def test_fields_in_quotes_may_hold_separators_and_quotes(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text('1,"American President, The (1995)"\n2,"""Great"" Giving"\n')
        form = Format("t.csv", ",", ("film", "title"), quoted=True)
        found = read(Bundle(tmp_path, "t.csv", "do without"), form, Reading())
        assert found.columns["title"].to_pylist() == ["American President, The (1995)", '"Great" Giving']


def test_missing_values_are_told_apart(table: Write) -> None:
    found = table("a|\nb|7\nc|NULL\n")
    assert found.whole("score", 0, 9, missing=("", "NULL")).tolist() == [-1, 7, -1]
    assert np.isnan(found.number("score", 0, 9, missing=("", "NULL"))).tolist() == [True, False, True]
    with pytest.raises(FedctrError, match="line 3, field score: found 'NULL'"):
        found.whole("score", 0, 9, missing=("",))


def test_scientific_numbers_have_signs_and_exponents(table: Write) -> None:
    found = table("a|-1.5e2\nb|+3.\nc|7E-1\n").number("score", -1e9, 1e9, scientific=True)
    assert found.tolist() == [-150, 3, 0.7]
