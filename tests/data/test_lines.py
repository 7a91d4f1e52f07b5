import ast
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fedctr.data.bundle import Bundle
from fedctr.data.lines import Format, blocks, literal
from fedctr.data.reading import Reading
from fedctr.data.table import Table
from fedctr.errors import FedctrError

FORM = Format("t.json", {"id": "text", "stars": "number"}, {"time": "whole", "path": "path"})
LITERAL = Format("t.json", {"id": "text"}, {"path": "path"}, literal=True)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def tables(folder: Path, content: bytes, form: Format = FORM, reading: Reading | None = None) -> list[Table]:
    (folder / "t.json").write_bytes(content)
    return list(blocks(Bundle(folder, "t.json", "do without"), form, reading or Reading()))


def columns(folder: Path, content: bytes, form: Format = FORM) -> list[list[Any]]:
    """Rows in the order of the keys."""
    found = tables(folder, content, form)
    return [
        list(row) for each in found for row in zip(*(each.columns[key].to_pylist() for key in form.keys), strict=True)
    ]


def refusal(folder: Path, content: bytes, form: Format = FORM) -> str:
    with pytest.raises(FedctrError) as caught:
        tables(folder, content, form)
    said = str(caught.value)
    assert "\n" not in said
    return said


class TestReading:
    def test_what_is_asked_for_is_taken_and_the_rest_is_left(self, tmp_path: Path) -> None:
        content = (
            '{"id": "a", "text": "\\u00e9 \\"quoted\\"", "stars": 5.0, "time": 7, "path": ["x", "y z"]}\n'
            '{"stars": 3, "id": "\\u00e9", "other": {"id": "no"}, "path": []}\n'
            '{"stars": 0.5, "id": "c", "time": null, "path": null}\n'
        )
        regular = columns(tmp_path, content.encode())
        by_line = columns(tmp_path, content.encode() + b"\n \n")  # blank lines make it irregular
        for rows in (regular, by_line):
            assert [row[0] for row in rows] == ["a", "é", "c"]
            assert [float(row[1]) for row in rows] == [5, 3, 0.5]
            assert [row[2:] for row in rows] == [["7", "y z"], [None, None], [None, None]]

    def test_of_several_paths_the_last_name_of_the_last_one_is_taken(self, tmp_path: Path) -> None:
        content = (
            b'{"id": "a", "path": [["x", "y"], ["z", "w"]]}\n{"id": "b", "path": [[]]}\n{"id": "c", "path": ["v"]}'
        )
        assert columns(tmp_path, content, LITERAL) == [["a", "w"], ["b", None], ["c", "v"]]

    def test_a_byte_order_mark_is_no_content(self, tmp_path: Path) -> None:
        assert columns(tmp_path, b'\xef\xbb\xbf{"id": "a", "stars": 1}\n') == [["a", "1", None, None]]

    def test_python_literals_and_json_may_be_mixed(self, tmp_path: Path) -> None:
        content = (
            "{'id': 'it', 'path': [['a', \"it's\"]], 'x': None}\n"
            '{"id": "json", "path": [["true"]], "x": null}\n'
            "{'id': '\\xe9\\'\"', 'path': [['a \\\\ b']], 'n': -1.5}\n"
            "{u'id': u'u', 'path': [('a'), ]}\n"
        )
        assert columns(tmp_path, content.encode(), LITERAL) == [
            ["it", "it's"],
            ["json", "true"],
            ["é'\"", "a \\ b"],
            ["u", "a"],
        ]

    def test_regular_json_is_not_read_line_by_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fedctr.data.lines._exact", None)
        content = b'{"id": "a", "stars": 1, "path": ["x", "y"], "text": {"any": [1, "kind"]}}\n' * 3
        assert columns(tmp_path, content) == [["a", "1", None, "y"]] * 3

    @pytest.mark.parametrize("size", [1, 2, 5, 50, 1000])
    def test_wherever_the_file_is_cut_rows_and_lines_are_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        monkeypatch.setattr("fedctr.data.bundle.CHUNK", size)
        rows = "".join(json.dumps({"id": f"né{number}", "stars": number % 5}) + "\r\n" for number in range(20))
        found = tables(tmp_path, f"\n{rows}\n\n".encode())
        assert [name for each in found for name in each.columns["id"].to_pylist()] == [f"né{n}" for n in range(20)]
        assert [line for each in found for line in each.lines] == list(range(2, 22))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        rows=st.lists(
            st.fixed_dictionaries(
                {
                    "id": st.text(st.characters(codec="utf-8")),
                    "stars": st.integers(0, 5) | st.sampled_from([0.5, 4.0]),
                },
                optional={
                    "time": st.none() | st.integers(-(10**17), 10**17),
                    "path": st.none() | st.lists(st.text(st.characters(codec="utf-8"), max_size=3), max_size=3),
                    "else": VALUES,
                },
            ),
            min_size=1,
        )
    )
    def test_the_fast_way_finds_what_the_exact_way_finds(self, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
        content = "\n".join(json.dumps(row, default=str) for row in rows).encode()
        fast, exact = columns(tmp_path, content), columns(tmp_path, content + b"\n\n")
        assert [[row[0], float(row[1]), *row[2:]] for row in fast] == [
            [row[0], float(row[1]), *row[2:]] for row in exact
        ]
        assert [row[0] for row in exact] == [row["id"] for row in rows]
        assert [row[3] for row in exact] == [(row.get("path") or [None])[-1] for row in rows]


class TestLiteral:
    @given(VALUES)
    @example({"a": "it's 7\" \\ \n"})
    @example(["\ud83d\ude00", "\ud83d", "'", '"', "true", "null", "\x00\r"])
    def test_what_repr_writes_is_read(self, value: object) -> None:
        for text in (repr(value), ascii(value)):
            assert literal(text) == value
            assert literal(text) == ast.literal_eval(text)

    @settings(max_examples=1000)
    @given(st.text(st.sampled_from("'\"\\{}[]:,abnux01e.- \tN\n\r\0"), max_size=14))
    @example("'''a'''")
    @example("\"\\''")
    @example("'a' 'b'")
    @example("null")
    @example("[NaN, Infinity]")
    @example("'\\x41\\101\\N{DASH}'")
    @example('"\\q"')
    @example("1_0")
    @example("0\r\t")
    @example("{'a': 1} # comment")
    @example("'a\nb'")
    @example('"a\\\nb"')
    @example("b'x\\\"'")
    @example("[" * 150 + "]" * 150)
    @pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
    def test_whatever_is_written_it_agrees_with_python(self, text: str) -> None:
        try:
            expected = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            with pytest.raises(ValueError):  # noqa: PT011
                literal(text)
        else:
            found = literal(text)
            assert (found, type(found)) == (expected, type(expected))


GOOD = b'{"id": "a", "stars": 1}\n'


class TestFaults:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (b'{"id": "a", "stars', "field id: the line is no JSON object (Unterminated string starting at"),
            (b"{'id': 'a', 'stars': 1}", "field id: the line is no JSON object (Expecting property name"),
            (b"[1]", "field id: the line holds no object: '[1]'"),
            (b'{"id": "a", "stars": 1} {"id": "b", "stars": 1}', "field id: the line is no JSON object (Extra data"),
            (b'{"id": "\xe9", "stars": 1}', "field id: the line is no JSON object ('utf-8' codec can't decode"),
            (b'{"stars": 1}', "field id: missing, expected a text"),
            (b'{"id": null, "stars": 1}', "field id: missing, expected a text"),
            (b'{"id": 5, "stars": 1}', "field id: found '5', expected a text"),
            (b'{"id": "\\ud800", "stars": 1}', "field id: found \"'\\\\ud800'\", expected a text"),
            (b'{"id": "a", "stars": "1"}', "field stars: found \"'1'\", expected a number"),
            (b'{"id": "a", "stars": true}', "field stars: found 'True', expected a number"),
            (b'{"id": "a", "stars": 1, "time": 1.5}', "field time: found '1.5', expected a whole number"),
            (b'{"id": "a", "stars": 1, "time": ' + b"9" * 30 + b"}", "field time: found '9999"),
            (b'{"id": "a", "stars": 1, "path": "x"}', "field path: found \"'x'\", expected a list of texts, or a list"),
            (b'{"id": "a", "stars": 1, "path": ["x", null]}', "field path: found \"['x', None]\", expected a list of"),
            (b'{"id": "a", "stars": 1, "path": ["x", 3]}', "field path: found \"['x', 3]\", expected a list of texts"),
        ],
    )  # fmt: skip
    def test_a_bad_line_is_named_with_field_and_remedy(self, tmp_path: Path, line: bytes, message: str) -> None:
        said = refusal(tmp_path, GOOD + line + b"\n" + GOOD)
        assert said.startswith(f"{tmp_path / 't.json'}, line 2, {message}")
        assert said.endswith("; mend it, pass --on-bad-row skip, or do without")

    def test_what_is_neither_json_nor_python(self, tmp_path: Path) -> None:
        said = refusal(tmp_path, b"{'id': open('x')}", LITERAL)
        assert "line 1, field id: the line is no JSON object or Python literal (not a Python literal)" in said

    def test_nesting_without_end(self, tmp_path: Path) -> None:
        for form in (FORM, LITERAL):
            assert "line 1, field id: the line is no JSON object" in refusal(tmp_path, b"[" * 100_000, form)

    @pytest.mark.parametrize("content", [b"", b"\n\n \n", b"\xef\xbb\xbf"])
    def test_an_empty_file(self, tmp_path: Path, content: bytes) -> None:
        assert "t.json: the file is empty; give a folder or archive with t.json, or do without" in refusal(
            tmp_path, content
        )

    def test_the_first_bad_line_is_named_whatever_its_field(self, tmp_path: Path) -> None:
        said = refusal(tmp_path, GOOD + b'{"id": "a", "stars": 1, "path": 1}\n{"stars": 1}\n')
        assert "line 2, field path" in said

    def test_bad_lines_are_skipped_and_counted_once_each(self, tmp_path: Path) -> None:
        reading = Reading("skip")
        content = GOOD + b'{"stars": "x"}\n' + b"{\n" + b'{"id": "b", "stars": 2}\n'
        found = tables(tmp_path, content, reading=reading)
        assert [line for table in found for line in table.kept(table.lines)[0]] == [1, 4]
        assert (reading.bad_rows, [good for table in found for good in table.good]) == (2, [True, False, False, True])
