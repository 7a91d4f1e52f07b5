import re
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedctr.data.dataset import Dataset, slices
from fedctr.data.loader import loaders
from fedctr.data.movielens import MovieLens, MovieLens1M, MovieLens20M, MovieLens100K
from fedctr.data.reading import OnBadRow, Reading
from fedctr.errors import FedctrError
from tests.data.conftest import FILMS, film

Pack = Callable[[Path], Path]
LOADER, LOADER_1M, LOADER_20M = MovieLens100K(), MovieLens1M(), MovieLens20M()
MEMBERS = (
    *("movielens-100k", "movielens-1m", "movielens-20m", "movielens-25m", "movielens-32m"),
    "movielens-latest-small",
)


def codes(dataset: Dataset, side: str, field: str) -> list[list[int]]:
    matrix = getattr(dataset, f"{side}_codes")
    columns = {each.name: part for each, part in slices(getattr(dataset.schema, f"{side}_fields"))}
    return matrix[:, columns[field]].tolist()  # type: ignore[no-any-return]


def replace_line(path: Path, line: int, text: str) -> None:
    lines = path.read_text("latin-1").split("\n")
    lines[line - 1] = text
    path.write_text("\n".join(lines), "latin-1")


def refusal(path: Path, loader: MovieLens = LOADER) -> str:
    with pytest.raises(FedctrError) as caught:
        loader.read(path, Reading())
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestReading:
    def test_users_and_items_stand_in_the_order_of_their_numbers(self, official: Path) -> None:
        dataset = LOADER.read(official, Reading())
        assert dataset.user_ids.to_pylist() == ["1", "2", "10"]
        assert dataset.item_ids.to_pylist() == ["2", "9", "10", "30"]
        assert codes(dataset, "user", "user") == [[1], [2], [3]]
        assert codes(dataset, "item", "item") == [[1], [2], [3], [4]]

    def test_samples_are_sorted_by_user_and_time_and_ties_by_item(self, official: Path) -> None:
        dataset = LOADER.read(official, Reading())
        assert dataset.offsets.tolist() == [0, 3, 4, 5]
        assert dataset.item.tolist() == [3, 1, 2, 0, 1]
        assert dataset.time.tolist() == [881250900, 881250949, 881250949, 878887116, 891717742]

    def test_a_rating_of_four_is_a_positive_and_three_is_not(self, official: Path) -> None:
        assert LOADER.read(official, Reading()).label.tolist() == [1, 1, 0, 0, 1]

    def test_ages_fall_into_the_seven_groups_of_movielens_1m(self, official: Path) -> None:
        ages = [17, 18, 24, 25, 34, 35, 44, 45, 49, 50, 55, 56, 99]
        (official / "u.user").write_text("".join(f"{i + 1}|{age}|M|x|y\n" for i, age in enumerate(ages)))
        dataset = LOADER.read(official, Reading())
        assert [code for [code] in codes(dataset, "user", "age")] == [1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
        assert dataset.schema.user_fields[1].cardinality == 8

    def test_occupation_and_gender_are_coded_in_sorted_order(self, official: Path) -> None:
        dataset = LOADER.read(official, Reading())
        assert codes(dataset, "user", "gender") == [[2], [1], [2]]
        assert codes(dataset, "user", "occupation") == [[3], [1], [2]]

    def test_genres_are_many_and_unknown_is_none(self, official: Path) -> None:
        # In sorted order: Animation, Children's, Comedy, Drama, Musical.
        assert codes(LOADER.read(official, Reading()), "item", "genres") == [[0, 0, 0], [4, 5, 0], [1, 2, 3], [1, 2, 0]]

    def test_the_year_is_that_of_the_title_and_may_be_missing(self, official: Path) -> None:
        # 1994 and 1995; the film without a date has code 0.
        assert codes(LOADER.read(official, Reading()), "item", "year") == [[0], [2], [2], [1]]

    @pytest.mark.parametrize("file", ["u.data", "u.item", "u.user"])
    def test_the_order_of_rows_does_not_matter(self, official: Path, file: str) -> None:
        expected = LOADER.read(official, Reading()).content_hash
        lines = (official / file).read_bytes().splitlines(keepends=True)
        (official / file).write_bytes(b"".join(reversed(lines)))
        assert LOADER.read(official, Reading()).content_hash == expected

    @pytest.mark.parametrize(("old", "new"), [(b"\n", b"\r\n"), (b"\n", b"\n")])
    def test_line_ends_and_blank_lines_at_the_end_do_not_matter(self, official: Path, old: bytes, new: bytes) -> None:
        expected = LOADER.read(official, Reading()).content_hash
        for file in official.iterdir():
            file.write_bytes(file.read_bytes().replace(old, new) + 2 * new)
        assert LOADER.read(official, Reading()).content_hash == expected

    def test_an_archive_equals_its_folder(self, official: Path, zipped: Pack) -> None:
        assert LOADER.read(zipped(official), Reading()).content_hash == LOADER.read(official, Reading()).content_hash

    def test_the_copy_in_recbole_equals_the_official_files(self, official: Path, recbole: Path) -> None:
        assert LOADER.read(recbole, Reading()).content_hash == LOADER.read(official, Reading()).content_hash

    def test_a_user_who_rated_nothing_keeps_a_place(self, official: Path) -> None:
        with (official / "u.user").open("a") as file:
            file.write("3|40|F|none|00000\n")
        assert LOADER.read(official, Reading()).offsets.tolist() == [0, 3, 4, 4, 5]

    def test_inputs_are_only_the_files_that_are_read(self, official: Path, zipped: Pack) -> None:
        (official / "README").write_text("not read")
        assert [path.name for path in LOADER.inputs(official)] == ["u.data", "u.item", "u.user"]
        archive = zipped(official)
        assert LOADER.inputs(archive) == [archive]


def test_the_family_is_found_by_name_and_each_has_its_own_archive() -> None:
    family = {name: loader for name, loader in loaders.classes().items() if issubclass(loader, MovieLens)}
    assert tuple(sorted(family, key=MEMBERS.index)) == MEMBERS
    archives = [loader.sources[0].file for loader in family.values()]
    assert sorted(archives) == sorted(f"{name.replace('movielens', 'ml')}.zip" for name in MEMBERS)


class TestRealData:
    def test_the_published_figures(self, movielens_100k: Dataset) -> None:
        assert (movielens_100k.users, movielens_100k.items, movielens_100k.samples) == (943, 1682, 100_000)
        assert movielens_100k.label.sum() == 55_375

    def test_every_sample_is_in_order(self, movielens_100k: Dataset) -> None:
        user = np.repeat(np.arange(943), np.diff(movielens_100k.offsets))
        order = np.lexsort((movielens_100k.item, movielens_100k.time, user))
        assert (order == np.arange(100_000)).all()

    def test_cardinalities(self, movielens_100k: Dataset) -> None:
        fields = {
            field.name: field.cardinality
            for field in (*movielens_100k.schema.user_fields, *movielens_100k.schema.item_fields)
        }
        assert fields == {
            **{"user": 944, "age": 8, "gender": 3, "occupation": 22},
            **{"item": 1683, "genres": 19, "year": 72},
        }

    def test_two_films_have_no_genre_and_one_no_year(self, movielens_100k: Dataset) -> None:
        genres, year = movielens_100k.item_codes[:, 1:7], movielens_100k.item_codes[:, 7]
        assert (np.flatnonzero(~genres.any(axis=1)) + 1).tolist() == [267, 1373]
        assert (np.flatnonzero(year == 0) + 1).tolist() == [267]


class TestFaults:
    @pytest.mark.parametrize(
        ("file", "line", "text", "message"),
        [
            ("u.data", 2, "1\t9\t5", r"u.data, line 2: found 3 fields, expected 4 \(user, item, rating, time\)"),
            ("u.data", 3, "1\t9\t5\t7\t8", "u.data, line 3: found 5 fields, expected 4"),
            ("u.data", 2, "", "u.data, line 2, field user: found '', expected a whole number from 1"),
            ("u.data", 1, "1\t10\tgood\t7", "line 1, field rating: found 'good', expected a number from 1 to 5"),
            ("u.data", 1, "1\t10\tNaN\t7", "line 1, field rating: found 'NaN', expected a number from 1 to 5"),
            ("u.data", 1, "1\t10\tinf\t7", "line 1, field rating: found 'inf', expected a number"),
            ("u.data", 1, "1\t10\t\t7", "line 1, field rating: found '', expected a number"),
            ("u.data", 5, "2\t2\t6\t7", "line 5, field rating: found '6', expected a number from 1 to 5"),
            ("u.data", 5, "2\t2\t0\t7", "line 5, field rating: found '0', expected a number from 1 to 5"),
            ("u.data", 4, "1\t30\t4\tnoon", "line 4, field time: found 'noon', expected a whole number from 0"),
            ("u.data", 4, "1\t31\t4\t7", "line 4, field item: found '31', expected an id that .*u.item describes"),
            ("u.data", 4, "4\t30\t4\t7", "line 4, field user: found '4', expected an id that .*u.user describes"),
            ("u.data", 4, "-1\t30\t4\t7", "line 4, field user: found '-1', expected a whole number from 1"),
            ("u.data", 4, "1\t10\t3\t881250949", "line 4.* duplicate of line 1: user 1 and item 10, at the same"),
            ("u.data", 4, "1\t10\t5\t99", "line 4.* duplicate of line 1: user 1 and item 10, at another"),
            ("u.user", 2, "1|17|M|student|T8H1N", "u.user, line 3, field user: 1 is already described on line 2"),
            ("u.user", 1, "2|old|F|other|1", "line 1, field age: found 'old', expected a whole number from 1 to 120"),
            ("u.user", 1, "2|53|F|other", "u.user, line 1: found 4 fields, expected 5"),
            ("u.item", 2, film(9, "Again (1995)", "", 8), "line 2, field item: 9 is already described on line 1"),
            ("u.item", 2, FILMS[1] + "|0", "u.item, line 2: found 25 fields, expected 24"),
            ("u.item", 2, FILMS[1][:-1] + "2", "line 2, field Western: found '2', expected a whole number from 0 to 1"),
        ],
    )  # fmt: skip
    def test_a_bad_line_is_named_with_field_value_and_remedy(
        self, official: Path, file: str, line: int, text: str, message: str
    ) -> None:
        replace_line(official / file, line, text)
        said = refusal(official)
        assert re.search(message, said)
        assert said.startswith(str(official / file))
        assert said.endswith(
            "mend it, pass --on-bad-row skip, or run 'fedctr data get movielens-100k' and leave out --path"
        )

    def test_lines_are_counted_below_a_header(self, recbole: Path) -> None:
        replace_line(recbole / "ml-100k.inter", 3, "1\t9\tx\t7")
        assert "ml-100k.inter, line 3, field rating: found 'x'" in refusal(recbole)

    def test_another_header(self, recbole: Path) -> None:
        replace_line(recbole / "ml-100k.user", 1, "user\tage")
        assert "ml-100k.user, line 1: found 'user\\tage', expected the header" in refusal(recbole)

    def test_bytes_that_are_not_text(self, recbole: Path) -> None:
        path = recbole / "ml-100k.item"
        path.write_bytes(path.read_bytes().replace("é".encode(), b"\xe9"))
        assert "ml-100k.item, line 3: byte 0xe9 is not utf-8 text" in refusal(recbole)

    def test_a_missing_file(self, official: Path) -> None:
        (official / "u.user").unlink()
        said = refusal(official)
        assert said.startswith(f"{official}: it lacks u.user; give a folder or archive with u.data, u.item, u.user")
        assert "fedctr data get movielens-100k" in said

    def test_a_folder_of_something_else(self, tmp_path: Path) -> None:
        assert "it lacks u.data, u.item, u.user;" in refusal(tmp_path)

    def test_a_path_that_is_not_there(self, tmp_path: Path) -> None:
        assert "no such file or folder" in refusal(tmp_path / "nowhere")

    def test_an_empty_file(self, official: Path) -> None:
        (official / "u.data").write_bytes(b"")
        assert refusal(official).startswith(f"{official / 'u.data'}: the file is empty")

    def test_a_file_with_a_header_only(self, recbole: Path) -> None:
        path = recbole / "ml-100k.inter"
        path.write_text(path.read_text().partition("\n")[0])
        with pytest.raises(FedctrError, match="data set movielens-100k: it holds no sample"):
            LOADER.read(recbole, Reading()).check()

    def test_a_truncated_archive(self, official: Path, zipped: Pack) -> None:
        path = zipped(official)
        path.write_bytes(path.read_bytes()[:-100])
        assert refusal(path).startswith(f"{path}: not a complete zip archive")

    def test_an_archive_with_a_damaged_member(self, official: Path, zipped: Pack) -> None:
        path = zipped(official)
        data = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            start = archive.getinfo("ml-100k/u.item").header_offset
        data[start + 60] ^= 0xFF
        path.write_bytes(data)
        assert "ml-100k/u.item: cannot be read" in refusal(path)


LAYOUTS: dict[str, tuple[MovieLens, str]] = {
    "official": (LOADER, "|"),
    "recbole": (LOADER, "\t"),
    "official_1m": (LOADER_1M, "::"),
    "official_20m": (LOADER_20M, '"'),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("on_bad_row", ["stop", "skip"])
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_whatever_is_damaged_gives_a_data_set_or_one_clear_line(
    request: pytest.FixtureRequest, layout: str, on_bad_row: OnBadRow, zipped: Pack, data: st.DataObject
) -> None:
    loader, mark = LAYOUTS[layout]
    folder: Path = request.getfixturevalue(layout)
    archive = zipped(folder)
    victim = data.draw(st.sampled_from([*sorted(folder.iterdir()), archive]))
    content = victim.read_bytes()
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, min(start + 8, len(content))))
    put = data.draw(st.binary(max_size=8) | st.sampled_from([b"\n", b"\t", b",", b"\r", b"1", b"\x00", mark.encode()]))
    with tempfile.TemporaryDirectory() as scratch:
        for file in folder.iterdir():
            (Path(scratch) / file.name).write_bytes(file.read_bytes())
        damaged = Path(scratch) / victim.name
        damaged.write_bytes(content[:start] + put + content[stop:])
        dataset: Dataset | None
        try:
            dataset = loader.read(damaged if victim == archive else Path(scratch), Reading(on_bad_row))
        except FedctrError as error:
            said, dataset = str(error), None
    if dataset is None:
        assert "\n" not in said
    else:
        assert dataset.offsets[-1] == dataset.samples == len(dataset.label)
        assert ((dataset.item >= 0) & (dataset.item < dataset.items)).all()
