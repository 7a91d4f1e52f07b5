from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedctr.data.bundle import Bundle
from fedctr.data.quotes import left_open, spoilt
from fedctr.data.reading import Reading
from fedctr.data.table import Format, read


def test_only_a_quote_at_the_start_of_a_field_opens_it_and_two_within_are_one() -> None:
    closed = ['"a,b",c', 'a"b,c"d', '"",""""', '"a""b"', 'it"s', "", '"a"b,c']
    open_ = ['"a', 'a,"b', '"a""', '"a,b', '"""', 'a"b,"c']
    text = "\n".join([*closed, *open_]).encode()
    assert list(left_open(text, b",")) == list(enumerate(open_, start=len(closed)))


def test_a_spoilt_line_is_one_field() -> None:
    assert spoilt(b'1,"a"\n2,"b,c\n', b",") == b'1,"a"\n2 \'b c\n'


@pytest.mark.parametrize("separator", [",", "|", "\t"])
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=st.lists(st.text(st.sampled_from('ab" SS'), max_size=8), min_size=1, max_size=5))
def test_no_line_swallows_another(tmp_path: Path, separator: str, lines: list[str]) -> None:
    lines = [line.replace("S", separator) for line in lines]
    ends = f"x{separator}first", f"y{separator}last"
    (tmp_path / "t.csv").write_text("\n".join([ends[0], *lines, ends[1]]))
    reading = Reading("skip")
    form = Format("t.csv", separator, ("a", "b"), quoted=True)
    found = read(Bundle(tmp_path, "t.csv", "do without"), form, reading)
    assert len(found.lines) + reading.bad_rows == len(lines) + 2
    assert found.lines[[0, -1]].tolist() == [1, len(lines) + 2]
    assert [found.columns["b"][row].as_py() for row in (0, -1)] == ["first", "last"]
