import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fedctr.data.movielens import MovieLens1M, MovieLens20M, MovieLens100K
from fedctr.data.reading import Reading
from tests.data.test_movielens import codes, refusal, replace_line

Pack = Callable[[Path], Path]
LOADER, LOADER_1M, LOADER_20M = MovieLens100K(), MovieLens1M(), MovieLens20M()


class TestOneMillion:
    def test_users_films_and_samples_are_those_of_the_same_content_in_the_older_format(
        self, official: Path, official_1m: Path
    ) -> None:
        older, dataset = LOADER.read(official, Reading()), LOADER_1M.read(official_1m, Reading())
        assert dataset.name == "movielens-1m"
        assert dataset.user_ids.equals(older.user_ids)
        assert dataset.item_ids.equals(older.item_ids)
        assert dataset.schema.item_fields == older.schema.item_fields
        for name in ("item_codes", "offsets", "item", "label", "time"):
            assert np.array_equal(getattr(dataset, name), getattr(older, name))

    def test_an_age_is_the_first_of_its_group_and_occupations_are_categories(self, official_1m: Path) -> None:
        dataset = LOADER_1M.read(official_1m, Reading())
        assert codes(dataset, "user", "age") == [[2], [6], [1]]  # 18, 50, 1
        assert codes(dataset, "user", "gender") == [[2], [1], [2]]
        assert codes(dataset, "user", "occupation") == [[3], [1], [2]]  # "0" < "10" < "20"

    def test_a_title_may_hold_a_colon_and_letters_of_latin_1(self, official_1m: Path) -> None:
        assert LOADER_1M.read(official_1m, Reading()).items == 4
        path = official_1m / "movies.dat"
        path.write_bytes(path.read_bytes().replace(b"Great: Giving", b"Great:: Giving"))
        assert "movies.dat, line 4: found 4 fields, expected 3 (item, title, genres)" in refusal(official_1m, LOADER_1M)

    @pytest.mark.parametrize(
        ("file", "line", "text", "message"),
        [
            ("ratings.dat", 2, "1::9::5", r"ratings.dat, line 2: found 3 fields, expected 4 .* in '1::9::5'"),
            ("ratings.dat", 2, "1::9::5:7", "ratings.dat, line 2: found 3 fields, expected 4"),
            ("ratings.dat", 2, "1::9::4.5::", "line 2, field time: found '', expected a whole number from 0"),
            ("ratings.dat", 1, "1::10::6::7", "line 1, field rating: found '6', expected a number from 1 to 5"),
            ("ratings.dat", 4, "1::31::4::7", "line 4, field item: found '31', expected an id that .*movies.dat desc"),
            ("ratings.dat", 4, "7::30::4::7", "line 4, field user: found '7', expected an id that .*users.dat desc"),
            ("users.dat", 2, "1::M::18::20::85711", "users.dat, line 3, field user: 1 is already described on line 2"),
            ("users.dat", 1, "2::50::F::0::94043", "line 1, field age: found 'F', expected a whole number from 1"),
            ("movies.dat", 1, "9::Misérables, Les (1995)", "movies.dat, line 1: found 2 fields, expected 3"),
        ],
    )  # fmt: skip
    def test_a_bad_line_of_one_million(self, official_1m: Path, file: str, line: int, text: str, message: str) -> None:
        replace_line(official_1m / file, line, text)
        assert re.search(message, refusal(official_1m, LOADER_1M))


class TestTwentyMillionAndLater:
    def test_users_are_those_who_rated_in_the_order_of_their_numbers(self, official_20m: Path) -> None:
        dataset = LOADER_20M.read(official_20m, Reading())
        assert dataset.user_ids.to_pylist() == ["1", "2", "10"]
        assert [(field.name, field.cardinality) for field in dataset.schema.user_fields] == [("user", 4)]
        assert dataset.user_codes.tolist() == [[1], [2], [3]]

    def test_films_and_samples_are_those_of_the_same_content_in_the_older_format(
        self, official: Path, official_20m: Path
    ) -> None:
        older, dataset = LOADER.read(official, Reading()), LOADER_20M.read(official_20m, Reading())
        assert dataset.schema.item_fields == older.schema.item_fields
        for name in ("item_codes", "offsets", "item", "label", "time"):
            before, after = getattr(older, name), getattr(dataset, name)
            assert np.array_equal(before, after)
            assert before.dtype == after.dtype

    def test_a_rating_of_three_and_a_half_is_no_positive(self, official_20m: Path) -> None:
        lines = ("userId,movieId,rating,timestamp", "1,2,0.5,1", "1,9,3.5,2", "1,10,4.0,3", "1,30,4.5,4")
        (official_20m / "ratings.csv").write_text("\n".join(lines))
        assert LOADER_20M.read(official_20m, Reading()).label.tolist() == [0, 0, 1, 1]

    def test_no_genres_listed_is_none(self, official_20m: Path) -> None:
        assert codes(LOADER_20M.read(official_20m, Reading()), "item", "genres")[0] == [0, 0, 0]

    def test_fields_may_be_quoted_without_need(self, official_20m: Path) -> None:
        expected = LOADER_20M.read(official_20m, Reading()).content_hash
        path = official_20m / "ratings.csv"
        header, *rows = path.read_text().splitlines()
        quoted = ['"' + row.replace(",", '","') + '"' for row in rows]
        path.write_text("\r\n".join([header, *quoted, ""]))
        assert LOADER_20M.read(official_20m, Reading()).content_hash == expected

    def test_a_folder_an_archive_and_files_packed_by_themselves_are_equal(
        self, official_20m: Path, zipped: Pack
    ) -> None:
        expected = LOADER_20M.read(official_20m, Reading()).content_hash
        archive = zipped(official_20m)
        assert LOADER_20M.read(archive, Reading()).content_hash == expected
        assert LOADER_20M.inputs(archive) == [archive]
        for file in list(official_20m.iterdir()):
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()
        assert LOADER_20M.read(official_20m, Reading()).content_hash == expected
        assert [path.name for path in LOADER_20M.inputs(official_20m)] == ["ratings.csv.gz", "movies.csv.gz"]

    def test_skipped_rows_are_counted_and_so_is_a_user_without_a_good_one_left_out(self, official_20m: Path) -> None:
        with (official_20m / "ratings.csv").open("a") as file:
            file.write("1,9,4.0,7\n11,9,5.5,7\n12,31,4.0,7\n13,9\n2,10,4.0,7\n")
        with (official_20m / "movies.csv").open("a", encoding="utf-8") as file:
            file.write('31,"Unclosed, The (1999),Drama\n')
        reading = Reading("skip")
        dataset = LOADER_20M.read(official_20m, reading)
        assert dataset.user_ids.to_pylist() == ["1", "2", "10"]
        assert dataset.samples == 6
        assert reading.bad_rows == 5
        assert [example.partition(";")[0].rpartition("/")[2] for example in reading.examples] == [
            "movies.csv, line 6: a quote out of place in '31,\"Unclosed, The (1999),Drama'",
            "ratings.csv, line 10: found 2 fields, expected 4 (user, item, rating, time) in '13,9'",
            "movies.csv describes",
            "ratings.csv, line 8, field rating: found '5.5', expected a number from 0.5 to 5",
            "ratings.csv, line 7, field item: duplicate of line 2: user 1 and item 9, at another time",
        ]

    @pytest.mark.parametrize(
        ("file", "line", "text", "message"),
        [
            ("ratings.csv", 3, "1,9,5.0", r"ratings.csv, line 3: found 3 fields, expected 4 \(user, item"),
            ("ratings.csv", 1, "user,movie,rating,time", "line 1: found 'user,movie,rating,time', expected the header"),
            ("ratings.csv", 3, "1,10,5.5,7", "line 3, field rating: found '5.5', expected a number from 0.5 to 5"),
            ("ratings.csv", 3, "1,10,0,7", "line 3, field rating: found '0', expected a number from 0.5 to 5"),
            ("ratings.csv", 3, "0,10,5,7", "line 3, field user: found '0', expected a whole number from 1"),
            ("ratings.csv", 3, "1,11,5,7", "line 3, field item: found '11', expected an id that .*movies.csv"),
            ("ratings.csv", 3, "1,9,5,7", "line 3.* duplicate of line 2: user 1 and item 9, at another time"),
            ("ratings.csv", 3, "1,10,5,\r7", "line 3: a carriage return within the line"),
            ("movies.csv", 3, "9,Misérables, Les (1995),Drama", "movies.csv, line 3: found 4 fields, expected 3"),
            ("movies.csv", 3, '9,"Les (1995),Drama', "movies.csv, line 3: a quote out of place in '9,\"Les"),
            ("movies.csv", 3, '9,"Les" (1995),Drama', "movies.csv, line 3: a quote out of place"),
            ("movies.csv", 4, "9,Again (1995),Drama", "movies.csv, line 4, field item: 9 is already described on line"),
        ],
    )  # fmt: skip
    def test_a_bad_line_of_twenty_million(
        self, official_20m: Path, file: str, line: int, text: str, message: str
    ) -> None:
        path = official_20m / file
        lines = path.read_text("utf-8").split("\n")
        lines[line - 1] = text
        path.write_text("\n".join(lines), "utf-8", newline="")
        said = refusal(official_20m, LOADER_20M)
        assert re.search(message, said)
        assert said.endswith("'fedctr data get movielens-20m' and leave out --path")
