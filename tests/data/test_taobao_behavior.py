import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedctr.data.dataset import Dataset
from fedctr.data.loader import loaders
from fedctr.data.reading import Reading
from fedctr.data.taobao_behavior import TaobaoBehavior
from fedctr.errors import FedctrError
from fedctr.randomness import words

FIRST, END = 1_511_539_200, 1_512_316_800
# The second user's item 5 is in two categories; user 30 never clicks; two times are outside of the nine days.
ROWS = [
    "7,5,900,pv,1511544070",
    "7,3,80,pv,1511539200",
    "7,5,900,pv,1511544070",
    "7,8,80,buy,1511561733",
    "20,5,70,pv,1512316799",
    "20,2,80,fav,1512316799",
    "20,11,80,pv,1512316800",
    "20,11,80,pv,-2134949234",
    "30,4,80,cart,1511561733",
]


def write(folder: Path, rows: list[str]) -> Path:
    (folder / "UserBehavior.csv").write_text("".join(f"{row}\n" for row in rows))
    return folder


def many(users: int, events: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    columns = (
        *(rng.integers(1, users + 1, events), rng.integers(1, 60, events)),
        *(np.array(["pv", "buy", "cart", "fav"])[rng.integers(0, 4, events)], rng.integers(FIRST, END, events)),
    )
    return [f"{user},{item},{item % 7 + 1},{what},{time}" for user, item, what, time in zip(*columns, strict=True)]


class TestReading:
    def test_clicks_are_positives_and_each_has_a_negative_of_its_time(self, tmp_path: Path) -> None:
        dataset = TaobaoBehavior().read(write(tmp_path, ROWS), Reading())
        assert dataset.user_ids.to_pylist() == ["7", "20"]
        assert dataset.item_ids.to_pylist() == ["2", "3", "5", "8"]
        assert dataset.offsets.tolist() == [0, 6, 8]
        clicks = dataset.label == 1
        assert dataset.item[clicks].tolist() == [1, 2, 2, 2]
        assert dataset.time[clicks].tolist() == [FIRST, 1511544070, 1511544070, END - 1]
        assert sorted(dataset.time[~clicks]) == sorted(dataset.time[clicks])

    def test_an_item_that_was_only_bought_is_no_negative(self, tmp_path: Path) -> None:
        rows = [*ROWS, *(f"1,{item},1,pv,{FIRST + item}" for item in (3, 5, 8, 9))]
        dataset = TaobaoBehavior(negatives=20).read(write(tmp_path, rows), Reading())
        # User 1 has met all but 2; user 7 has met 3, 5 and 8, of which 8 was bought; user 20 has met 2 and 5.
        names = np.array(dataset.item_ids.to_pylist())
        drawn = [
            set(names[dataset.item[first:stop][dataset.label[first:stop] == 0]])
            for first, stop in zip(dataset.offsets[:-1], dataset.offsets[1:], strict=True)
        ]
        assert drawn == [{"2"}, {"2", "9"}, {"3", "8", "9"}]

    def test_times_outside_of_the_nine_days_are_left_out_and_counted(self, tmp_path: Path) -> None:
        reading = Reading()
        assert "11" not in TaobaoBehavior().read(write(tmp_path, ROWS), reading).item_ids.to_pylist()
        assert reading.bad_rows == 2

    def test_of_several_categories_the_lowest_counts(self, tmp_path: Path) -> None:
        dataset = TaobaoBehavior().read(write(tmp_path, ROWS), Reading())
        assert dataset.item_codes.tolist() == [[1, 2], [2, 2], [3, 1], [4, 2]]  # 70, 80; 900 is nobody's lowest

    def test_the_order_of_rows_does_not_matter(self, tmp_path: Path) -> None:
        rows = many(30, 400)
        loader = TaobaoBehavior(users=10, negatives=2)
        expected = loader.read(write(tmp_path, rows), Reading()).content_hash
        assert loader.read(write(tmp_path, rows[::-1]), Reading()).content_hash == expected

    def test_an_archive_equals_its_file(self, tmp_path: Path) -> None:
        expected = TaobaoBehavior().read(write(tmp_path, ROWS), Reading()).content_hash
        with zipfile.ZipFile(tmp_path / "UserBehavior.csv.zip", "w") as archive:
            archive.write(tmp_path / "UserBehavior.csv", "UserBehavior.csv")
        assert TaobaoBehavior().read(tmp_path / "UserBehavior.csv.zip", Reading()).content_hash == expected


class TestOptions:
    @pytest.mark.parametrize("size", [50, 1000, 1 << 24])
    @pytest.mark.parametrize("seed", [0, 1])
    def test_the_chosen_users_have_the_lowest_hashes_of_those_who_click(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, size: int
    ) -> None:
        monkeypatch.setattr("fedctr.data.bundle.CHUNK", size)
        rows = many(60, 300)
        clicking = np.array(sorted({int(row.split(",")[0]) for row in rows if ",pv," in row}))
        lowest = clicking[np.argsort(words(seed, "users", clicking, 1)[:, 0])[:9]]
        dataset = TaobaoBehavior(users=9, seed=seed).read(write(tmp_path, rows), Reading())
        assert dataset.user_ids.to_pylist() == [str(user) for user in sorted(lowest)]
        mine = [row for row in rows if int(row.split(",")[0]) in lowest]
        assert dataset.label.sum() == sum(",pv," in row for row in mine)
        assert dataset.item_ids.to_pylist() == [str(i) for i in sorted({int(row.split(",")[1]) for row in mine})]

    def test_negatives_are_so_many_for_each_click(self, tmp_path: Path) -> None:
        dataset = TaobaoBehavior(negatives=4).read(write(tmp_path, many(20, 300)), Reading())
        assert dataset.label.mean() == pytest.approx(1 / 5)

    def test_popular_items_are_drawn_by_their_clicks(self, tmp_path: Path) -> None:
        # Item 9 has one click of a thousand, so nearly every negative of user 2 is item 1.
        rows = [f"1,1,1,pv,{FIRST + second}" for second in range(999)] + [f"3,9,1,pv,{FIRST}", f"2,5,1,pv,{FIRST}"]
        dataset = TaobaoBehavior(negatives=100, sampling="popularity").read(write(tmp_path, rows), Reading())
        second = slice(dataset.offsets[1], dataset.offsets[2])
        assert (dataset.item[second][dataset.label[second] == 0] == 0).sum() >= 95

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("users=0", "users is 0; it must be a whole number from 1 to 1000000000"),
            ("negatives=1.5", "negatives is 1.5; it must be a whole number from 1 to 100"),
            ("seed=-1", "seed is -1; it must be a whole number from 0"),
            ("sampling=even", "sampling is 'even'; it must be uniform or popularity"),
        ],
    )
    def test_an_option_out_of_range(self, spec: str, message: str) -> None:
        with pytest.raises(FedctrError, match=message):
            loaders.create(f"taobao-behavior[{spec}]")


class TestFaults:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("7,3,80,look,1511539200", "field behaviour: found 'look', expected pv, buy, cart or fav"),
            ("7,3,80,pv", r"line 2: found 4 fields, expected 5 \(user, item, category, behaviour, time\)"),
            ("7,3,,pv,1511539200", "field category: found '', expected a whole number from 1"),
            ("7,3,80,pv,1511539200.5", "field time: found '1511539200.5', expected a whole number"),
            ("0,3,80,pv,1511539200", "field user: found '0', expected a whole number from 1"),
        ],
    )
    def test_a_bad_line_is_named_with_field_value_and_remedy(self, tmp_path: Path, text: str, message: str) -> None:
        write(tmp_path, [ROWS[0], text, *ROWS[2:]])
        with pytest.raises(FedctrError, match=message) as caught:
            TaobaoBehavior().read(tmp_path, Reading())
        assert str(caught.value).startswith(f"{tmp_path / 'UserBehavior.csv'}, line 2")
        reading = Reading("skip")
        TaobaoBehavior().read(tmp_path, reading)
        assert reading.bad_rows == 3  # with the two known ones

    def test_a_folder_of_something_else(self, tmp_path: Path) -> None:
        with pytest.raises(FedctrError, match=r"it lacks UserBehavior.csv; give a folder or archive with UserBehavior"):
            TaobaoBehavior().read(tmp_path, Reading())

    def test_without_a_click_there_is_no_sample(self, tmp_path: Path) -> None:
        dataset = TaobaoBehavior().read(write(tmp_path, [ROWS[-1]]), Reading())
        with pytest.raises(FedctrError, match="it holds no sample"):
            dataset.check()

    def test_a_user_who_has_met_everything(self, tmp_path: Path) -> None:
        with pytest.raises(FedctrError, match="negatives: 1 users, the first of them 1, have met every item"):
            TaobaoBehavior().read(write(tmp_path, [f"1,2,3,pv,{FIRST}"]), Reading())


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_whatever_is_damaged_gives_a_data_set_or_one_clear_line(tmp_path: Path, data: st.DataObject) -> None:
    content = "".join(f"{row}\n" for row in ROWS).encode()
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, min(start + 8, len(content))))
    put = data.draw(st.binary(max_size=8) | st.sampled_from([b"\n", b",", b"\r", b"1", b"pv", b"-", b"\x00"]))
    how = data.draw(st.sampled_from(["stop", "skip"]))
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "UserBehavior.csv").write_bytes(content[:start] + put + content[stop:])
        dataset: Dataset | None
        try:
            dataset = TaobaoBehavior().read(Path(scratch), Reading(how))  # type: ignore[arg-type]
        except FedctrError as error:
            said, dataset = str(error), None
    if dataset is None:
        assert "\n" not in said
    else:
        assert re.fullmatch(r"(0\.5|nan)", str(dataset.label.mean() if dataset.samples else float("nan")))
