import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedctr.data.mapping import Feature, Mapping, Side
from fedctr.errors import FedctrError

LEAST = 'user = "u"\nitem = "i"\ntime = "t"\nlabel = "l"\n'


def refusal(text: str) -> str:
    with pytest.raises(FedctrError) as caught:
        Mapping.parse(text.encode(), "fedctr.toml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_four_columns_are_enough() -> None:
    found = Mapping.parse(LEAST.encode(), "fedctr.toml")
    assert found == Mapping(user="u", item="i", time="t", label="l")
    assert (found.time_unit, found.positive_from, found.separator) == ("seconds", None, ",")


def test_features_are_categories_lists_or_buckets() -> None:
    text = (
        LEAST + '[users]\nfile = "people.csv"\nid = "who"\ncolumns.land = "category"\ncolumns.age = { buckets = 5 }\n'
        '[items.columns]\ntags = { separator = "|" }\n'
    )
    found = Mapping.parse(text.encode(), "fedctr.toml")
    assert found.users == Side(file="people.csv", id="who", columns={"land": Feature(), "age": Feature(buckets=5)})
    assert found.items == Side(columns={"tags": Feature(separator="|")})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LEAST.replace("label", "lable"), "fedctr.toml: it lacks the key 'label'; add a line such as label = "),
        (LEAST + 'time_units = "iso"', "unknown key 'time_units'; did you mean time_unit"),
        (LEAST + "zzz = 1", "unknown key 'zzz'; known keys: samples, user, item, time, time_unit, label, positive_fr"),
        (LEAST + "[users]\nflie = 1", "unknown key 'users.flie'; did you mean file"),
        (LEAST + "[users.columns]\nage = { bucket = 5 }", "unknown key 'users.columns.age.bucket'; did you mean bu"),
        (LEAST + "[users.columns]\nage = 'number'", 'users.columns.age: expected "category", { separator = "|" } or '),
        (LEAST + "[users.columns]\nage = 7", "users.columns.age: .*, found 7"),
        (LEAST + "[users.columns]\nage = { buckets = 1 }", "users.columns.age.buckets: .* greater than or equal to 2"),
        (LEAST + "[users.columns]\na = { buckets = 5, separator = ';' }", "users.columns.a: .*not both"),
        (LEAST + "[items]\nid = 'x'", "items: an id is for a file"),
        (LEAST + "[items]\nfile = 'x.csv'", "items: a file is for its columns"),
        (LEAST + "time_unit = 'hours'", "time_unit: .*'seconds', 'milliseconds' or 'iso', found 'hours'"),
        (LEAST + "positive_from = '4'", "positive_from.*found '4'"),
        (LEAST + "separator = '::'", "separator: .*found '::'"),
        (LEAST + "separator = '\"'", "separator: expected one character, and neither a quote nor a line end, found "),
        (LEAST + "positive_from = nan", "positive_from: expected a number, found nan"),
        (LEAST + "positive_from = true", "positive_from: expected a number, found True"),
        (LEAST + "users = 'x.csv'", "users: expected a table, found 'x.csv'"),
        (LEAST + "samples = '/data/log.csv'", "samples: expected the bare name of a file that lies beside this"),
        (LEAST + "users = { file = './x.csv', columns.a = 'category' }", "users.file: expected the bare name"),
        (LEAST.replace('"i"', '"u"'), "fedctr.toml: user and item are both the column 'u'; name another for one"),
        (LEAST + "[items.columns]\nl = 'category'", "items.columns: 'l' is the label, which is no feature"),
        (LEAST + "user = 'again'", "fedctr.toml: not TOML: Cannot overwrite a value"),
        ("user", "fedctr.toml: not TOML: Expected '='"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_file_and_key(text: str, message: str) -> None:
    assert re.search(message, refusal(text))


def test_a_byte_order_mark_does_not_matter() -> None:
    assert Mapping.parse(b"\xef\xbb\xbf" + LEAST.encode(), "fedctr.toml") == Mapping.parse(
        LEAST.encode(), "fedctr.toml"
    )


def test_another_encoding() -> None:
    with pytest.raises(FedctrError, match=r"fedctr.toml: not UTF-8 text \(byte 10\); save it as UTF-8"):
        Mapping.parse('user = "na\xefve"'.encode("latin-1"), "fedctr.toml")


@given(
    start=st.integers(0, 200), length=st.integers(0, 20), put=st.text(max_size=8) | st.sampled_from(["[a]", '"', "="])
)  # fmt: skip
def test_whatever_is_damaged_gives_a_mapping_or_one_clear_line(start: int, length: int, put: str) -> None:
    text = LEAST + 'positive_from = 4\n[users]\nfile = "x"\ncolumns.a = "category"\n[items.columns]\nb = {buckets=3}\n'
    damaged = (text[:start] + put + text[start + length :]).encode("utf-8", "surrogatepass")
    said = ""
    try:
        Mapping.parse(damaged, "fedctr.toml")
    except FedctrError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1


def test_the_examples_of_the_readme_are_mappings() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    own_log = readme.partition("### Your own log")[2].partition("\n### ")[0]
    least, features = re.findall(r"```toml\n(.*?)```", own_log, re.DOTALL)
    assert Mapping.parse(least.encode(), "README.md").samples == "clicks.csv"
    assert Mapping.parse((least + features).encode(), "README.md").items.columns["topics"].separator == "|"
