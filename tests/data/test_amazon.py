import gzip
import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedctr.data.amazon import Amazon, Amazon2014, Amazon2018, Amazon2023
from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset, slices
from fedctr.data.loader import loaders
from fedctr.data.reading import Reading
from fedctr.errors import FedctrError
from fedctr.progress import Silent

# user, item, rating, time in seconds; the first two are a tie in time.
REVIEWS = (
    ("A2", "B1", 5.0, 1_000_000_800),
    ("A2", "B3", 2.0, 1_000_000_800),
    ("A10", "B2", 4.0, 1_100_000_000),
    ("A2", "B2", 3.0, 1_000_000_000),
    ("A1", "B4", 1.0, 1_200_000_000),
)
# Lines of 2014 in the quirks of Python: B3 has an apostrophe and a quote, B2 an escape, B4 nothing.
META_2014 = (
    r"""{'asin': 'B3', 'title': 'it\'s 7" wide', 'categories': [['Electronics'], ['Toys', "Kids' Cam\xe9ras"]]}""",
    r"""{'asin': 'B9', 'description': "nobody's", 'categories': [['Electronics', 'Cables']], 'brand': 'Zed'}""",
    r"""{'categories': [['Electronics', 'Audio', 'Cables']], 'brand': 'Sony', 'asin': 'B1', 'price': 9.99}""",
    r"""{'asin': 'B2', 'brand': '', 'categories': [['Electronics', 'Cables']], 'title': 'a\nb'}""",
    r"""{'asin': 'B1', 'categories': [['Again']], 'brand': 'Again'}""",
)


def pack(path: Path, lines: Sequence[str]) -> None:
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))


def reviews_2014(rows: Sequence[tuple[str, str, float, int]] = REVIEWS) -> list[str]:
    extra = {"reviewerName": 'N. "N"', "helpful": [0, 1], "reviewText": "très\nbien", "reviewTime": "09 9, 2001"}
    keys = ("reviewerID", "asin", "overall", "unixReviewTime")
    return [json.dumps({**dict(zip(keys, row, strict=True)), **extra}) for row in rows]


@pytest.fixture
def of_2014(tmp_path: Path) -> Path:
    """A folder with the 5-core of Electronics."""
    folder = tmp_path / "amazon-2014"
    folder.mkdir()
    pack(folder / "reviews_Electronics_5.json.gz", reviews_2014())
    pack(folder / "meta_Electronics.json.gz", META_2014)
    return folder


@pytest.fixture
def of_2018(tmp_path: Path) -> Path:
    """The same reviews in the edition of 2018, with one of them copied and one product reviewed again."""
    folder = tmp_path / "amazon-2018"
    folder.mkdir()
    keys = ("overall", "verified", "reviewerID", "asin", "style", "unixReviewTime")
    again = (*REVIEWS, REVIEWS[0], ("A10", "B2", 1.0, 1_100_086_400))
    rows = [(rating, True, user, item, {"Size:": "L"}, time) for user, item, rating, time in again]
    pack(folder / "Electronics_5.json.gz", [json.dumps(dict(zip(keys, row, strict=True))) for row in rows])
    meta: list[dict[str, Any]] = [
        {"asin": "B3", "category": ["Toys", "Kids' Caméras"], "price": ""},
        {"asin": "B1", "category": ["Electronics", "Cables"], "brand": "Sony", "price": "$9.99", "rank": ["x", 1]},
        {"asin": "B2", "category": ["Electronics", "Cables"], "brand": "", "rank": {}},
    ]
    pack(folder / "meta_Electronics.json.gz", [json.dumps(row) for row in meta])
    return folder


@pytest.fixture
def of_2023(tmp_path: Path) -> Path:
    """The same reviews in the edition of 2023, ratings only, in milliseconds."""
    folder = tmp_path / "amazon-2023"
    folder.mkdir()
    rows = [f"{user},{item},{rating},{time * 1000 + 999}" for user, item, rating, time in REVIEWS]
    pack(folder / "Electronics.csv.gz", ["user_id,parent_asin,rating,timestamp", *rows])
    meta: list[dict[str, Any]] = [
        {"parent_asin": "B3", "categories": ["Toys", "Kids' Caméras"], "main_category": None, "store": None},
        {"parent_asin": "B1", "categories": ["Electronics", "Cables"], "main_category": "Computers", "store": "Sony"},
        {"parent_asin": "B2", "categories": ["Electronics", "Cables"], "main_category": "All Electronics"},
    ]
    pack(folder / "meta_Electronics.jsonl.gz", [json.dumps(row) for row in meta])
    return folder


def as_jsonl(folder: Path) -> None:
    """Replace the ratings by the reviews they are from."""
    (folder / "Electronics.csv.gz").unlink()
    pack(
        folder / "Electronics.jsonl.gz",
        [
            json.dumps(
                {
                    **{
                        "rating": rating,
                        "title": "",
                        "text": "très bien",
                        "images": [],
                        "asin": "B0",
                        "helpful_vote": 0,
                    },
                    **{"parent_asin": item, "user_id": user, "timestamp": time * 1000 + 999, "verified_purchase": True},
                }
            )
            for user, item, rating, time in REVIEWS
        ],
    )


def codes(dataset: Dataset, field: str) -> list[int]:
    columns = {each.name: part for each, part in slices(dataset.schema.item_fields)}
    found: list[int] = dataset.item_codes[:, columns[field]].ravel().tolist()
    return found


def samples(dataset: Dataset) -> list[tuple[int, int, int, int]]:
    user = np.repeat(np.arange(dataset.users), np.diff(dataset.offsets))
    return list(zip(user.tolist(), dataset.item.tolist(), dataset.label.tolist(), dataset.time.tolist(), strict=True))


def refusal(loader: Amazon, path: Path) -> str:
    with pytest.raises(FedctrError) as caught:
        loader.read(path, Reading())
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Told(Silent):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


# Users A1, A10, A2 and items B1 to B4, in the order of their ids.
BY_RATING = [
    (0, 3, 0, 1_200_000_000),
    (1, 1, 1, 1_100_000_000),
    (2, 1, 0, 1_000_000_000),
    (2, 0, 1, 1_000_000_800),
    (2, 2, 0, 1_000_000_800),
]


class TestReading:
    def test_the_edition_of_2014(self, of_2014: Path) -> None:
        dataset = Amazon2014(positives="ratings").read(of_2014, Reading())
        assert dataset.user_ids.to_pylist() == ["A1", "A10", "A2"]
        assert dataset.item_ids.to_pylist() == ["B1", "B2", "B3", "B4"]
        assert samples(dataset) == BY_RATING
        # Cables and Kids' Caméras; the last name of the last path; B1 as it is described first; B4 is not described.
        assert codes(dataset, "category") == [1, 1, 2, 0]
        assert codes(dataset, "brand") == [1, 0, 0, 0]
        assert {field.name: field.cardinality for field in dataset.schema.item_fields} == {
            **{"item": 5, "category": 3, "brand": 2}
        }
        assert [field.name for field in dataset.schema.user_fields] == ["user"]

    def test_the_edition_of_2018_where_later_reviews_of_the_same_product_are_left_out(self, of_2018: Path) -> None:
        told = Told()
        dataset = Amazon2018(positives="ratings").read(of_2018, Reading(reporter=told))
        assert samples(dataset) == BY_RATING
        assert (codes(dataset, "category"), codes(dataset, "brand")) == ([1, 1, 2, 0], [1, 0, 0, 0])
        assert told.lines == ["amazon-2018: left out 2 later reviews of a product by the same customer"]

    @pytest.mark.parametrize("whole", [False, True])
    def test_the_edition_of_2023(self, of_2023: Path, whole: bool) -> None:
        if whole:
            as_jsonl(of_2023)
        dataset = Amazon2023(positives="ratings").read(of_2023, Reading())
        assert samples(dataset) == BY_RATING
        assert codes(dataset, "category") == [1, 1, 2, 0]
        assert codes(dataset, "main_category") == [2, 1, 0, 0]
        assert codes(dataset, "store") == [1, 0, 0, 0]

    def test_of_two_reviews_at_one_time_the_lower_rating_counts(self, of_2014: Path) -> None:
        rows = [("A1", "B1", 5.0, 7), ("A1", "B1", 2.0, 7), ("A1", "B2", 2.0, 7), ("A1", "B2", 5.0, 7)]
        pack(of_2014 / "reviews_Electronics_5.json.gz", reviews_2014(rows))
        assert Amazon2014(positives="ratings").read(of_2014, Reading()).label.tolist() == [0, 0]

    def test_reviews_may_be_python_literals_too(self, of_2014: Path) -> None:
        expected = Amazon2014().read(of_2014, Reading()).content_hash
        pack(of_2014 / "reviews_Electronics_5.json.gz", [repr(json.loads(line)) for line in reviews_2014()])
        assert Amazon2014().read(of_2014, Reading()).content_hash == expected

    def test_the_order_of_lines_does_not_matter(self, of_2014: Path) -> None:
        expected = Amazon2014().read(of_2014, Reading()).content_hash
        pack(of_2014 / "reviews_Electronics_5.json.gz", reviews_2014()[::-1])
        assert Amazon2014().read(of_2014, Reading()).content_hash == expected

    def test_an_archive_equals_its_folder_and_so_do_unpacked_files(self, of_2014: Path) -> None:
        expected = Amazon2014().read(of_2014, Reading()).content_hash
        for file in list(of_2014.iterdir()):
            (of_2014 / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
            file.unlink()
        assert Amazon2014().read(of_2014, Reading()).content_hash == expected
        with zipfile.ZipFile(of_2014.with_suffix(".zip"), "w") as archive:
            for file in of_2014.iterdir():
                archive.write(file, f"any/{file.name}")
        assert Amazon2014().read(of_2014.with_suffix(".zip"), Reading()).content_hash == expected

    def test_without_a_description_items_have_their_id_only_and_that_is_said(self, of_2014: Path) -> None:
        told = Told()
        alone = of_2014 / "reviews_Electronics_5.json.gz"
        dataset = Amazon2014(positives="ratings").read(alone, Reading(reporter=told))
        assert samples(dataset) == BY_RATING
        assert [field.name for field in dataset.schema.item_fields] == ["item"]
        assert told.lines == ["amazon-2014: no meta_Electronics.json, so items have no category"]

    def test_many_blocks_equal_one(self, of_2014: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = Amazon2014().read(of_2014, Reading()).content_hash
        monkeypatch.setattr("fedctr.data.bundle.CHUNK", 100)
        assert Amazon2014().read(of_2014, Reading()).content_hash == expected

    def test_they_are_opened_by_name(self, of_2014: Path, empty_cache: Path) -> None:
        dataset = open_dataset("amazon-2014[category=Electronics,positives=ratings]", of_2014)
        assert samples(dataset) == BY_RATING
        assert [name for name in loaders.classes() if name.startswith("amazon")] == [
            *("amazon-2014", "amazon-2018", "amazon-2023")
        ]


class TestNegatives:
    def test_a_review_is_a_positive_whatever_its_rating_and_negatives_share_its_time(self, of_2014: Path) -> None:
        found = samples(Amazon2014(negatives=3).read(of_2014, Reading()))
        positives = [(user, item, time) for user, item, label, time in found if label]
        assert sorted(positives) == sorted((user, item, time) for user, item, _, time in BY_RATING)
        assert len(found) == 4 * len(positives)
        for user, item, label, time in found:
            if not label:
                assert (user, item) not in {(user, item) for user, item, _, _ in BY_RATING}
                assert time in {when for who, _, _, when in BY_RATING if who == user}
        assert [time for _, _, _, time in found].count(1_000_000_800) == 8

    def test_the_only_item_left_is_drawn(self, of_2014: Path) -> None:
        # A2 has reviewed all but B4.
        found = samples(Amazon2014().read(of_2014, Reading()))
        assert [item for user, item, label, _ in found if user == 2 and not label] == [3, 3, 3]

    def test_popular_items_are_drawn_more_often(self, tmp_path: Path) -> None:
        rows = [(f"A{number}", "B1", 5.0, 7) for number in range(300)]
        rows += [(f"A{number}", "B2", 5.0, 7) for number in range(300, 400)]
        rows += [(f"C{number}", "B3", 5.0, 7) for number in range(100)]
        pack(tmp_path / "reviews_Toys_5.json.gz", reviews_2014(rows))

        def drawn(sampling: str) -> list[int]:
            found = samples(Amazon2014(negatives=10, sampling=sampling).read(tmp_path, Reading()))
            shown = [item for user, item, label, _ in found if user >= 400 and not label]
            return np.bincount(shown, minlength=3).tolist()  # type: ignore[no-any-return]

        assert drawn("uniform") == pytest.approx([500, 500, 0], abs=80)
        assert drawn("popularity") == pytest.approx([750, 250, 0], abs=70)

    def test_a_users_negatives_stay_when_other_users_go(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        rows = [(f"A{user}", f"B{item}", 5.0, 7) for user in range(40) for item in rng.choice(30, 6, replace=False)]
        # Every item stays reviewed.
        rows += [(f"C{item % 2}", f"B{item}", 5.0, 7) for item in range(30)]

        def negatives(users: set[str]) -> dict[str, list[str]]:
            pack(tmp_path / "reviews_Toys_5.json.gz", reviews_2014([row for row in rows if row[0] in users]))
            dataset = Amazon2014().read(tmp_path, Reading())
            found: dict[str, list[str]] = {user: [] for user in users}
            for user, item, label, _ in samples(dataset):
                if not label:
                    found[dataset.user_ids[user].as_py()].append(dataset.item_ids[item].as_py())
            return found

        everybody, fewer = negatives({row[0] for row in rows}), negatives({"A7", "A31", "C0", "C1"})
        assert fewer == {user: everybody[user] for user in fewer}

    def test_another_seed_draws_others(self, of_2014: Path) -> None:
        hashes = {Amazon2014(negatives=5, seed=seed).read(of_2014, Reading()).content_hash for seed in (0, 1, 0)}
        assert len(hashes) == 2

    def test_who_has_reviewed_everything_leaves_nothing_to_draw(self, of_2014: Path) -> None:
        pack(of_2014 / "reviews_Electronics_5.json.gz", reviews_2014([REVIEWS[0], REVIEWS[1]]))
        assert refusal(Amazon2014(), of_2014) == (
            "negatives: 1 users, the first of them A2, have met every item, so that none is left to draw; "
            "draw from more items, or leave these users out"
        )


class TestCategories:
    @pytest.mark.parametrize(
        ("loader", "files"),
        [
            (Amazon2014, ["reviews_{}_5.json", "reviews_{}.json", "meta_{}.json"]),
            (Amazon2018, ["{}_5.json", "{}.json", "meta_{}.json"]),
            (Amazon2023, ["{}.csv", "{}.jsonl", "meta_{}.jsonl"]),
        ],
    )
    def test_the_preferred_file_of_the_category_is_read(
        self, tmp_path: Path, loader: type[Amazon], files: list[str]
    ) -> None:
        for category in ("Books", "Video_Games"):
            for file in files:
                (tmp_path / f"{file.format(category)}.gz").write_bytes(b"")
        for file in ("notes.txt", "all_categories.txt"):
            (tmp_path / file).write_text("")
        first, second, meta = (f"{file.format('Video_Games')}.gz" for file in files)
        chosen = loader(category="Video_Games")
        assert [path.name for path in chosen.inputs(tmp_path)] == [first, meta]
        (tmp_path / first).unlink()
        assert [path.name for path in chosen.inputs(tmp_path)] == [second, meta]

        said = refusal(loader(), tmp_path)
        assert said == (
            f"{tmp_path}: it holds reviews of several categories (Books, Video_Games); "
            f"name one, as in {loader.name}[category=Books]"
        )
        said = refusal(loader(category="Toys"), tmp_path)
        assert said.startswith(f"{tmp_path}: no reviews of category Toys, only of Books, Video_Games; give a folder or")
        assert said.endswith(f"get the files from {loader.home}")

    def test_a_folder_of_something_else(self, tmp_path: Path) -> None:
        assert refusal(Amazon2014(category="Toys"), tmp_path) == (
            f"{tmp_path}: it holds no file with reviews; give a folder or archive with reviews_Toys_5.json.gz and "
            f"meta_Toys.json.gz, or get the files from {Amazon2014.home}"
        )

    def test_the_files_of_2014_are_not_those_of_2018(self, of_2014: Path) -> None:
        said = refusal(Amazon2018(), of_2014)
        assert "it holds no file with reviews, only 'meta_Electronics.json, reviews_Electronics_5.json'; give" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("positives=clicks", "positives is 'clicks'; it must be reviews or ratings"),
        ("sampling=hard", "sampling is 'hard'; it must be uniform or popularity"),
        ("negatives=0", "negatives is 0; it must be a whole number from 1 to 1000"),
        ("negatives=true", "negatives is True; it must be a whole number from 1"),
        ("seed=-1", "seed is -1; it must be a whole number from 0"),
        ("category=5", "category is 5; it must be a name such as Electronics"),
        ("positives=ratings,negatives=2", "with positives=ratings nothing is drawn; leave out negatives, sampling"),
    ],
)
def test_options_that_make_no_sense(options: str, message: str) -> None:
    with pytest.raises(FedctrError, match=message):
        loaders.create(f"amazon-2014[{options}]")


class TestFaults:
    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('"A10"', '""', "field reviewerID: found '', expected an id"),
            ('"A10"', "10", "field reviewerID: found '10', expected a text"),
            ('"asin": "B2", "overall": 4', '"asin": "", "overall": 4', "field asin: found '', expected an id"),
            ("4.0", "6.0", "field overall: found '6', expected a number from 0 to 5"),
            ("4.0", "NaN", "field overall: found 'nan', expected a number from 0 to 5"),
            ("1100000000", "-1", "field unixReviewTime: found '-1', expected a whole number from 0"),
            ("1100000000", "1100000000000", "field unixReviewTime: found '1100000000000', expected a whole number"),
            ('"reviewerID": "A10", ', "", "field reviewerID: missing, expected a text"),
        ],
    )
    def test_a_bad_review_is_named_or_left_out(self, of_2014: Path, old: str, new: str, message: str) -> None:
        lines = reviews_2014()
        assert old in lines[2]
        lines[2] = lines[2].replace(old, new)
        path = of_2014 / "reviews_Electronics_5.json.gz"
        pack(path, lines)
        said = refusal(Amazon2014(), of_2014)
        assert said.startswith(f"{path}, line 3, {message}")
        assert said.endswith(f"; mend it, pass --on-bad-row skip, or get the files from {Amazon2014.home}")

        reading = Reading("skip")
        dataset = Amazon2014(positives="ratings").read(of_2014, reading)
        assert reading.bad_rows == 1
        assert reading.examples == [said]
        assert dataset.user_ids.to_pylist() == ["A1", "A2"]
        assert dataset.samples == 4

    def test_a_bad_description_is_named_or_left_out(self, of_2014: Path) -> None:
        path = of_2014 / "meta_Electronics.json.gz"
        pack(path, [*META_2014[:2], META_2014[2].replace("'Sony'", "['Sony']"), *META_2014[3:]])
        assert refusal(Amazon2014(), of_2014).startswith(f"{path}, line 3, field brand: found \"['Sony']\", expected a")
        reading = Reading("skip")
        dataset = Amazon2014().read(of_2014, reading)
        assert reading.bad_rows == 1
        assert codes(dataset, "brand") == [1, 0, 0, 0]  # from the second description of B1

    def test_a_bad_rating_of_2023(self, of_2023: Path) -> None:
        rows = ["user_id,parent_asin,rating,timestamp", "A1,B1,5.0,1588687728923", "A1,,5.0,1588687728923"]
        pack(of_2023 / "Electronics.csv.gz", rows)
        said = refusal(Amazon2023(), of_2023)
        assert said.startswith(f"{of_2023 / 'Electronics.csv.gz'}, line 3, field parent_asin: found '', expected an id")

    def test_another_header_of_2023(self, of_2023: Path) -> None:
        pack(of_2023 / "Electronics.csv.gz", ["user,item,rating,timestamp"])
        assert "Electronics.csv.gz, line 1: found 'user,item,rating,timestamp', expected the header" in refusal(
            Amazon2023(), of_2023
        )

    def test_nothing_but_bad_rows(self, of_2014: Path) -> None:
        pack(of_2014 / "reviews_Electronics_5.json.gz", ["{}"] * 3)
        reading = Reading("skip")
        dataset = Amazon2014().read(of_2014, reading)
        assert (reading.bad_rows, dataset.samples, dataset.users, dataset.items) == (3, 0, 0, 0)
        with pytest.raises(FedctrError, match="data set amazon-2014: it holds no sample"):
            dataset.check()

    def test_a_truncated_file(self, of_2014: Path) -> None:
        path = of_2014 / "meta_Electronics.json.gz"
        path.write_bytes(path.read_bytes()[:-10])
        assert refusal(Amazon2014(), of_2014).startswith(f"{path}: cannot be read (")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), packed=st.booleans(), skip=st.booleans())
def test_whatever_is_damaged_gives_a_data_set_or_one_clear_line(
    of_2014: Path, of_2018: Path, of_2023: Path, data: st.DataObject, packed: bool, skip: bool
) -> None:
    editions: list[tuple[Amazon, Path]] = [(Amazon2014(), of_2014), (Amazon2018(), of_2018), (Amazon2023(), of_2023)]
    loader, folder = data.draw(st.sampled_from(editions))
    victim = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = victim.read_bytes() if packed else gzip.decompress(victim.read_bytes())
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, min(start + 8, len(content))))
    put = data.draw(
        st.binary(max_size=8)
        | st.sampled_from([b"\n", b"'", b'"', b"\\", b"\r", b"[", b"}", b"1", b"\x00", b"\\ud800"])
    )
    with tempfile.TemporaryDirectory() as scratch:
        for file in folder.iterdir():
            (Path(scratch) / file.name).write_bytes(file.read_bytes())
        damaged = content[:start] + put + content[stop:]
        (Path(scratch) / victim.name).write_bytes(damaged if packed else gzip.compress(damaged))
        dataset: Dataset | None
        try:
            dataset = loader.read(Path(scratch), Reading("skip" if skip else "stop"))
        except FedctrError as error:
            said, dataset = str(error), None
    if dataset is None:
        assert said
        assert "\n" not in said
    else:
        assert dataset.offsets[-1] == dataset.samples == len(dataset.label)
        assert ((dataset.item >= 0) & (dataset.item < dataset.items)).all()
