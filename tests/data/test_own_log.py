import gzip
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from fedctr.data.dataset import Dataset, Field
from fedctr.data.own_log import Csv, OwnLog, Parquet
from fedctr.data.reading import Reading
from fedctr.errors import FedctrError
from fedctr.progress import Silent

MAPPING = """\
samples = "clicks.csv"
user = "visitor"
item = "article"
time = "at"
time_unit = "iso"
label = "clicked"
"""
FEATURES = """
[users]
file = "people.csv"
id = "who"
columns.land = "category"
columns.age = { buckets = 2 }

[items.columns]
topics = { separator = "|" }
price = { buckets = 3 }
"""
CLICKS = """\
clicked,article,note,at,visitor,topics,price
1,b,,2026-01-01T00:00:10Z,ann,war|art,2
0,a,"a, ""quoted"" note",2026-01-01T01:00:10+01:00,ann,,
true,b,,2026-01-01,bob,war|art,2
False,ä,,2026-01-01 00:00:01.75,zoë,art,1e1
1,b,,2026-01-01T00:00:10Z,ann,war|art,2
"""
PEOPLE = """\
age,who,land
30,ann,de
,bob,fr
99,nobody,xx
50,ann's twin,de
"""
START = 1_767_225_600
Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of three users and three items with features."""
    path = tmp_path / "log"
    path.mkdir()
    (path / "fedctr.toml").write_text(MAPPING + FEATURES)
    (path / "clicks.csv").write_text(CLICKS, encoding="utf-8")
    (path / "people.csv").write_text(PEOPLE, encoding="utf-8")
    return path


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a log of four columns, and further lines of its mapping."""

    def write(rows: str, mapping: str = "") -> Path:
        (tmp_path / "log.csv").write_text(f"u,i,t,l\n{rows}")
        (tmp_path / "log.toml").write_text(f'user = "u"\nitem = "i"\ntime = "t"\nlabel = "l"\n{mapping}')
        return tmp_path / "log.csv"

    return write


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def refusal(path: Path, loader: OwnLog | None = None) -> str:
    with pytest.raises(FedctrError) as caught:
        (loader or Csv()).read(path, Reading())
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Hearer(Silent):
    """Remembers the phases."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def phase(self, name: str, total: int | None = None, unit: str = "") -> None:
        self.phases.append(name)


class TestReading:
    def test_users_and_items_are_those_of_the_samples_in_the_order_of_their_ids(self, folder: Path) -> None:
        dataset = Csv().read(folder, Reading())
        assert dataset.user_ids.to_pylist() == ["ann", "bob", "zoë"]
        assert dataset.item_ids.to_pylist() == ["a", "b", "ä"]

    def test_samples_are_in_order_and_repetitions_count(self, folder: Path) -> None:
        dataset = Csv().read(folder, Reading())
        assert dataset.offsets.tolist() == [0, 3, 4, 5]
        assert dataset.item.tolist() == [0, 1, 1, 1, 2]
        assert dataset.label.tolist() == [0, 1, 1, 1, 0]
        assert [time - START for time in dataset.time.tolist()] == [10, 10, 10, 0, 1]

    def test_features_come_from_a_file_or_from_the_samples(self, folder: Path) -> None:
        dataset = Csv().read(folder, Reading())
        assert dataset.schema.user_fields == (Field("user", 4), Field("user_land", 3), Field("user_age", 2))
        topics = Field("item_topics", 3, values=2)
        assert dataset.schema.item_fields == (Field("item", 4), topics, Field("item_price", 3))
        # Nobody says anything of zoë, and bob has no age.
        assert dataset.user_codes.tolist() == [[1, 1, 1], [2, 2, 0], [3, 0, 0]]
        assert dataset.item_codes.tolist() == [[1, 0, 0, 0], [2, 1, 2, 1], [3, 1, 0, 2]]

    @pytest.mark.parametrize("file", ["clicks.csv", "people.csv"])
    def test_neither_rows_nor_columns_need_an_order(self, folder: Path, file: str) -> None:
        expected = Csv().read(folder, Reading()).content_hash
        frame = pd.read_csv(folder / file, dtype=str, keep_default_na=False)
        frame.iloc[::-1, ::-1].to_csv(folder / file, index=False)
        assert Csv().read(folder, Reading()).content_hash == expected

    @pytest.mark.parametrize("size", [3, 40])
    def test_wherever_files_are_cut_into_blocks_the_content_is_the_same(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        expected = Csv().read(folder, Reading()).content_hash
        monkeypatch.setattr("fedctr.data.bundle.CHUNK", size)
        assert Csv().read(folder, Reading()).content_hash == expected

    def test_a_single_file_has_its_mapping_beside_it(self, folder: Path) -> None:
        expected = Csv().read(folder, Reading()).content_hash
        (folder / "clicks.toml").write_text((MAPPING + FEATURES).partition("\n")[2])
        (folder / "fedctr.toml").unlink()
        assert Csv().read(folder / "clicks.csv", Reading()).content_hash == expected
        names = ["clicks.toml", "clicks.csv", "people.csv"]
        assert [path.name for path in Csv().inputs(folder / "clicks.csv")] == names

    def test_an_archive_or_a_packed_file_equals_the_folder(self, folder: Path, zipped: Callable[[Path], Path]) -> None:
        expected = Csv().read(folder, Reading()).content_hash
        assert Csv().read(zipped(folder), Reading()).content_hash == expected
        (folder / "clicks.toml").write_text(MAPPING + FEATURES)
        (folder / "clicks.csv.gz").write_bytes(gzip.compress((folder / "clicks.csv").read_bytes()))
        assert "clicks.csv.gz: there is also " in refusal(folder / "clicks.csv.gz")
        (folder / "clicks.csv").unlink()
        assert Csv().read(folder / "clicks.csv.gz", Reading()).content_hash == expected

    def test_times_and_ratings(self, write: Write) -> None:
        path = write("7,1,1500000000999,4\n7,2,1500000001000,-3.5\n", "time_unit = 'milliseconds'\npositive_from = 4")
        dataset = Csv().read(path, Reading())
        assert dataset.time.tolist() == [1_500_000_000, 1_500_000_001]
        assert dataset.label.tolist() == [1, 0]
        assert Csv().read(write("7,1,9,1\n"), Reading()).time.tolist() == [9]

    def test_another_separator(self, write: Write) -> None:
        path = write("", r"separator = '\t'".replace("'", '"'))
        path.write_text("u\ti\tt\tl\tempty, last\n7\t1\t9\t1\t\n")
        assert Csv().read(path, Reading()).user_ids.to_pylist() == ["7"]

    def test_names_of_columns_that_would_not_do_as_names_of_tables(self, write: Write) -> None:
        path = write("", 'users.columns = { "a.b" = "category", a_b = "category", type = "category" }')
        path.write_text("u,i,t,l,a.b,a_b,type\n7,1,9,1,x,y,z\n")
        names = [field.name for field in Csv().read(path, Reading()).schema.user_fields]
        assert names == ["user", "user_a_b", "user_a_b'", "user_type"]

    def test_bad_rows_are_skipped_if_told_so(self, folder: Path) -> None:
        expected = Csv().read(folder, Reading()).content_hash
        with (folder / "clicks.csv").open("a", encoding="utf-8") as file:
            file.write(
                "2,a,,2026-01-01,cy,,\n0,a,,2026-02-30,cy,,\n0,,,2026-01-01,cy,,\n0,b,,2026-01-01,cy,art,2\n0,b\n"
            )
        reading = Reading("skip")
        assert Csv().read(folder, reading).content_hash == expected
        assert reading.bad_rows == 5


class TestParquet:
    @pytest.fixture
    def columnar(self, folder: Path) -> Path:
        """The same log in columns with types of their own."""
        clicks = pa.table(
            {
                "clicked": pa.array([True, False, True, False, True]),
                "article": pa.array(["b", "a", "b", "ä", "b"]).dictionary_encode(),
                "at": pa.array([10_000, 10_000, 0, 1750, 10_000], pa.timestamp("ms", "UTC")),
                "visitor": pa.array(["ann", "ann", "bob", "zoë", "ann"], pa.large_string()),
                "topics": ["war|art", None, "war|art", "art", "war|art"],
                "price": [2, None, 2, 10, 2],
                "note": [["a", "list"], None, None, None, None],
            }
        )  # fmt: skip
        shifted = pa.array([t.as_py() + pd.Timedelta(seconds=START) for t in clicks["at"]], pa.timestamp("ms", "UTC"))
        clicks = clicks.set_column(clicks.schema.get_field_index("at"), "at", shifted)
        names, lands = ["ann", "bob", "nobody", "ann's twin"], ["de", "fr", "xx", "de"]
        people = pa.table({"who": names, "land": lands, "age": [30, None, 99, 50]})
        path = folder.parent / "columnar"
        path.mkdir()
        parquet.write_table(clicks, path / "clicks.parquet")
        parquet.write_table(people, path / "people.parquet")
        (path / "fedctr.toml").write_text((MAPPING + FEATURES).replace(".csv", ".parquet"))
        return path

    def test_it_equals_the_same_log_as_csv(self, folder: Path, columnar: Path) -> None:
        assert Parquet().read(columnar, Reading()).content_hash == Csv().read(folder, Reading()).content_hash

    def test_wherever_it_is_cut_into_batches_the_content_is_the_same(
        self, columnar: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = Parquet().read(columnar, Reading()).content_hash
        monkeypatch.setattr("fedctr.data.own_log._BATCH", 2)
        assert Parquet().read(columnar, Reading()).content_hash == expected

    @pytest.mark.parametrize(("rows", "told"), [(4, ["reading clicks.parquet (rows)"]), (5, [])])
    def test_progress_is_told_of_a_large_file(
        self, columnar: Path, rows: int, told: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fedctr.data.own_log._BATCH", rows)
        hearer = Hearer()
        Parquet().read(columnar, Reading("stop", hearer))
        assert hearer.phases == told

    def test_a_bad_row_is_named_by_its_number(self, columnar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fedctr.data.own_log._BATCH", 2)
        table = parquet.read_table(columnar / "clicks.parquet")
        parquet.write_table(table.set_column(0, "clicked", pa.array([1, 0, 1, 2, 0])), columnar / "clicks.parquet")
        said = refusal(columnar, Parquet())
        assert said.startswith(f"{columnar / 'clicks.parquet'}, row 4, field clicked: found '2', expected 0 or 1, or a")

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('"clicked"', '"click"', "clicks.parquet: no column is named 'click'; did you mean 'clicked'"),
            ("topics =", "note =", r"clicks.parquet: .* of plain columns \(field note, of type list<.*list"),
            ("people.parquet", "fedctr.toml", "fedctr.toml: not a readable Parquet file of plain columns"),
        ],
    )
    def test_what_cannot_be_read(self, columnar: Path, old: str, new: str, message: str) -> None:
        replace(columnar / "fedctr.toml", old, new)
        assert re.search(message, refusal(columnar, Parquet()))

    def test_an_archive_must_be_unpacked(self, columnar: Path, zipped: Callable[[Path], Path]) -> None:
        archive = zipped(columnar)
        assert f"clicks.parquet: Parquet is read from a folder; unpack {archive}" in refusal(archive, Parquet())

    @settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(where=st.floats(0, 1), put=st.binary(max_size=4), cut=st.integers(0, 4))
    def test_whatever_is_damaged_gives_a_data_set_or_one_clear_line(
        self, columnar: Path, where: float, put: bytes, cut: int
    ) -> None:
        content = (columnar / "clicks.parquet").read_bytes()
        start, said = int(where * len(content)), ""
        with tempfile.TemporaryDirectory() as scratch:
            for file in ("fedctr.toml", "people.parquet"):
                (Path(scratch) / file).write_bytes((columnar / file).read_bytes())
            (Path(scratch) / "clicks.parquet").write_bytes(content[:start] + put + content[start + cut :])
            try:
                Parquet().read(Path(scratch), Reading())
            except FedctrError as error:
                said = str(error)
        assert len(said.splitlines()) <= 1

    def test_an_empty_table_holds_no_sample(self, columnar: Path) -> None:
        table = parquet.read_table(columnar / "clicks.parquet")
        parquet.write_table(table.slice(0, 0), columnar / "clicks.parquet")
        assert Parquet().read(columnar, Reading()).samples == 0


class TestFaults:
    @pytest.mark.parametrize(
        ("file", "old", "new", "message"),
        [
            ("clicks.csv", "\n0,a", "\n2,a", "clicks.csv, line 3, field clicked: found '2', expected 0 or 1"),
            ("clicks.csv", "2026-01-01,bob", "01.01.2026,bob", "line 4, field at: found '01.01.2026', expected a ti"),
            ("clicks.csv", "2026-01-01,bob", "2026-13-01,bob", "line 4, field at: found '2026-13-01', expected a ti"),
            ("clicks.csv", ",ann,", ",,", "line 2, field visitor: found '', expected an id"),
            ("clicks.csv", ",bob,war|art,2", ",bob,war|art", "line 4: found 6 fields, expected 7"),
            ("clicks.csv", ",bob,war|art", ",bob,art", "line 4, field topics: found 'art', expected the value first"),
            ("clicks.csv", ",zoë,art,1e1", ",zoë,art,dear", "line 5, field price: found 'dear', expected a number"),
            ("clicks.csv", ",zoë,art,1e1", ",zoë,art,inf", "line 5, field price: found 'inf', expected a number from"),
            ("people.csv", "\n50,ann's twin,de", "\n50,ann,de", "people.csv, line 5, field age: found '50', expec"),
            ("clicks.csv", "visitor", "user", "clicks.csv, line 1: no column is named 'visitor'; it has 'clicked"),
            ("clicks.csv", "visitor", "Visitor", "line 1: no column is named 'visitor'; did you mean 'Visitor'.; m"),
            ("clicks.csv", ",ann,", ",a\0n,", r"clicks.csv, line 2: a NUL byte in '1,b,,2026.*a\\x00n,war"),
            ("clicks.csv", "note", "n\0te", "clicks.csv, line 1: found a NUL byte, so this is no text in UTF-8; "),
            ("clicks.csv", "note", "n\rte", r"clicks.csv, line 1: no header of one line \('clicked,art.* Unix line"),
            ("people.csv", "age,who,land", "age;who;land", "it has 'age;who;land' only; is another separator"),
            ("clicks.csv", "note", "at", "line 1: two columns are named 'at'; rename one"),
            ("people.csv", "land", "", "people.csv, line 1: no column is named 'land'"),
            ("people.csv", PEOPLE, "", "people.csv: it starts without a header"),
            ("fedctr.toml", "people.csv", "poeple.csv", "it lacks 'poeple.csv', .* did you mean 'people.csv'."),
            ("fedctr.toml", 'samples = "clicks.csv"', "", "fedctr.toml: it lacks the key 'samples'; add a line such"),
            ("fedctr.toml", "clicks.csv", "clicks.csv.gz", "it lacks 'clicks.csv.gz', .* did you mean 'clicks.csv'."),
            ("fedctr.toml", "label", "lable", "fedctr.toml: it lacks the key 'label'"),
        ],
    )  # fmt: skip
    def test_a_fault_is_named_with_file_line_and_field(
        self, folder: Path, file: str, old: str, new: str, message: str
    ) -> None:
        replace(folder / file, old, new)
        assert re.search(message, refusal(folder))

    def test_a_folder_without_a_mapping(self, folder: Path) -> None:
        (folder / "fedctr.toml").unlink()
        assert refusal(folder).startswith(f"{folder / 'fedctr.toml'}: not found; write it as README.md shows")
        assert refusal(folder / "clicks.csv").startswith(f"{folder / 'clicks.toml'}: not found")

    def test_a_single_file_whose_mapping_is_that_of_the_folder(self, folder: Path) -> None:
        assert refusal(folder / "clicks.csv").endswith(", or give the folder, which holds fedctr.toml")

    def test_the_mapping_in_place_of_the_log(self, folder: Path) -> None:
        said = refusal(folder / "fedctr.toml")
        assert said.endswith("fedctr.toml: says what the columns are; give the folder with the log, or the log itself")

    def test_a_single_file_that_the_mapping_does_not_name(self, folder: Path) -> None:
        (folder / "people.toml").write_text(MAPPING)
        said = refusal(folder / "people.csv")
        assert "people.toml: samples: found 'clicks.csv', but --path is people.csv; leave out the key" in said

    def test_a_path_that_is_not_there(self, tmp_path: Path) -> None:
        assert "no such file or folder" in refusal(tmp_path / "nowhere.csv")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_whatever_is_damaged_gives_a_data_set_or_one_clear_line(folder: Path, data: st.DataObject) -> None:
    victim = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = victim.read_bytes()
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, min(start + 8, len(content))))
    put = data.draw(st.binary(max_size=8) | st.sampled_from([b"\n", b",", b"\r", b'"', b"1", b"-", b"\x00"]))
    how = data.draw(st.sampled_from(["stop", "skip"]))
    with tempfile.TemporaryDirectory() as scratch:
        for file in folder.iterdir():
            (Path(scratch) / file.name).write_bytes(file.read_bytes())
        (Path(scratch) / victim.name).write_bytes(content[:start] + put + content[stop:])
        dataset: Dataset | None
        try:
            dataset = Csv().read(Path(scratch), Reading(how))  # type: ignore[arg-type]
        except FedctrError as error:
            said, dataset = str(error), None
    if dataset is None:
        assert len(said.splitlines()) == 1
    else:
        assert dataset.offsets[-1] == dataset.samples == len(dataset.label)
        assert ((dataset.item >= 0) & (dataset.item < dataset.items)).all()
