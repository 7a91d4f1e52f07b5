import gzip
import re
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedctr.data.cache import open_dataset
from fedctr.data.dataset import Dataset
from fedctr.data.reading import Reading
from fedctr.data.taobao_ads import TaobaoAds
from fedctr.errors import FedctrError

LOADER = TaobaoAds()
SAMPLES = """\
user,time_stamp,adgroup_id,pid,nonclk,clk
581738,1494137644,1,430548_1007,1,0
449818,1494638778,31,430548_1007,1,0
581738,1494137000,31,430539_1007,0,1
900,1494650879,4,430548_1007,0,1
581738,1494137644,1,430548_1007,1,0
"""
ADS = """\
adgroup_id,cate_id,campaign_id,customer,brand,price
31,6406,83237,1,95471,170.0
4,6406,7,2,NULL,0.01
2,1,1,1,1,5
1,392,7,11,,199.0
"""
# The header's last name ends in a blank in the original, and empty fields are common.
PROFILES = """\
userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation,new_user_class_level\x20
581738,0,5,2,5,,3,0,3
900,82,11,1,5,3,2,0,
"""


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """Five impressions of three users and three ads."""
    folder = tmp_path / "ads"
    folder.mkdir()
    for file, content in (("raw_sample.csv", SAMPLES), ("ad_feature.csv", ADS), ("user_profile.csv", PROFILES)):
        (folder / file).write_text(content)
    return folder


def replace_line(path: Path, line: int, text: str) -> None:
    lines = path.read_text().split("\n")
    lines[line - 1] = text
    path.write_text("\n".join(lines))


def refusal(path: Path) -> str:
    with pytest.raises(FedctrError) as caught:
        LOADER.read(path, Reading())
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestReading:
    def test_users_and_ads_are_those_of_the_samples_in_the_order_of_their_numbers(self, official: Path) -> None:
        dataset = LOADER.read(official, Reading())
        assert dataset.user_ids.to_pylist() == ["900", "449818", "581738"]
        assert dataset.item_ids.to_pylist() == ["1", "4", "31"]  # nobody saw 2

    def test_every_impression_counts_and_all_are_in_order(self, official: Path) -> None:
        dataset = LOADER.read(official, Reading())
        assert dataset.offsets.tolist() == [0, 1, 2, 5]
        assert dataset.item.tolist() == [1, 2, 2, 0, 0]
        assert dataset.label.tolist() == [1, 0, 1, 0, 0]
        assert dataset.time.tolist() == [1494650879, 1494638778, 1494137000, 1494137644, 1494137644]

    def test_profiles_may_lack_users_and_values(self, official: Path) -> None:
        dataset = LOADER.read(official, Reading())
        fields = [(field.name, field.cardinality) for field in dataset.schema.user_fields]
        assert fields == [
            *(("user", 4), ("cms_segid", 3), ("cms_group_id", 3), ("final_gender_code", 3), ("age_level", 2)),
            *(("pvalue_level", 2), ("shopping_level", 3), ("occupation", 2), ("new_user_class_level", 2)),
        ]
        assert dataset.user_codes.tolist() == [
            [1, 2, 2, 1, 1, 1, 1, 1, 0],
            [2, 0, 0, 0, 0, 0, 0, 0, 0],
            [3, 1, 1, 2, 1, 0, 2, 1, 1],
        ]

    def test_brands_may_be_missing_and_prices_are_cut_at_quantiles(self, official: Path) -> None:
        dataset = LOADER.read(official, Reading())
        fields = [(field.name, field.cardinality) for field in dataset.schema.item_fields]
        assert fields == [
            *(("item", 4), ("cate_id", 3), ("campaign_id", 3), ("customer", 4), ("brand", 2), ("price", 4))
        ]
        assert dataset.item_codes.tolist() == [[1, 1, 1, 3, 0, 3], [2, 2, 1, 2, 0, 1], [3, 2, 2, 1, 1, 2]]

    @pytest.mark.parametrize("file", ["raw_sample.csv", "ad_feature.csv", "user_profile.csv"])
    def test_the_order_of_rows_does_not_matter(self, official: Path, file: str) -> None:
        expected = LOADER.read(official, Reading()).content_hash
        header, *rows = (official / file).read_text().splitlines(keepends=True)
        (official / file).write_text(header + "".join(reversed(rows)))
        assert LOADER.read(official, Reading()).content_hash == expected

    @pytest.mark.parametrize("size", [7, 100])
    def test_wherever_files_are_cut_into_blocks_the_content_is_the_same(
        self, official: Path, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        expected = LOADER.read(official, Reading()).content_hash
        monkeypatch.setattr("fedctr.data.bundle.CHUNK", size)
        assert LOADER.read(official, Reading()).content_hash == expected

    def test_the_header_of_profiles_may_be_mended(self, official: Path) -> None:
        expected = LOADER.read(official, Reading()).content_hash
        (official / "user_profile.csv").write_text(PROFILES.replace(" \n", "\n"))
        assert LOADER.read(official, Reading()).content_hash == expected

    def test_files_may_be_packed_as_they_are_downloaded(self, official: Path) -> None:
        expected = LOADER.read(official, Reading()).content_hash
        for file in list(official.iterdir()):
            with tarfile.open(official / f"{file.name}.tar.gz", "w:gz") as archive:
                archive.add(file, file.name)
            file.unlink()
        assert LOADER.read(official, Reading()).content_hash == expected
        names = ["raw_sample.csv.tar.gz", "ad_feature.csv.tar.gz", "user_profile.csv.tar.gz"]
        assert [path.name for path in LOADER.inputs(official)] == names

    @pytest.mark.usefixtures("empty_cache")
    def test_bad_rows_are_skipped_if_told_so(self, official: Path) -> None:
        with (official / "raw_sample.csv").open("a") as file:
            file.write("900,1494650880,77,430548_1007,0,1\n900,1494650880,4,430548_1007,1,1\n900,149465088")
        with (official / "user_profile.csv").open("a") as file:
            file.write("449818,x,5,2,5,,3,0,3\n")
        skipped = open_dataset("taobao-ads", official, "skip")
        assert skipped.bad_rows == 4
        assert (skipped.samples, skipped.user_codes[1].tolist()) == (5, [2, 0, 0, 0, 0, 0, 0, 0, 0])


class TestFaults:
    @pytest.mark.parametrize(
        ("file", "line", "text", "message"),
        [
            ("raw_sample.csv", 2, "1,1494137644,1,p,1", r"line 2: found 5 fields, expected 6 \(user, time_stamp, adgr"),
            ("raw_sample.csv", 3, "x,1494137644,1,p,1,0", "line 3, field user: found 'x', expected a whole number fro"),
            ("raw_sample.csv", 3, "1,noon,1,p,1,0", "line 3, field time_stamp: found 'noon', expected a whole numb"),
            ("raw_sample.csv", 4, "1,1494137644,9,p,1,0", "line 4, field adgroup_id: found '9', expected an id that "),
            ("raw_sample.csv", 4, "1,1494137644,1,p,1,1", "line 4, field nonclk: found '1', expected 1 where clk is "),
            ("raw_sample.csv", 4, "1,1494137644,1,p,0,0", "line 4, field nonclk: found '0', expected 1 where clk is "),
            ("raw_sample.csv", 4, "1,1494137644,1,p,1,", "line 4, field clk: found '', expected a whole number from 0"),
            ("raw_sample.csv", 1, "user,time", "line 1: found 'user,time', expected the header 'user,time_stamp,adgr"),
            ("ad_feature.csv", 3, "31,1,1,1,1,1", "line 3, field adgroup_id: 31 is already described on line 2"),
            ("ad_feature.csv", 3, "4,1,1,1,1,NaN", "line 3, field price: found 'NaN', expected a number from 0"),
            ("ad_feature.csv", 3, "4,1,1,1,null,1", "line 3, field brand: found 'null', expected a whole number fro"),
            ("user_profile.csv", 3, "900,1,1,1,1,1,1,1,one", "line 3, field new_user_class_level: found 'one', expect"),
            ("user_profile.csv", 3, "900,1,1,1,1,1,1,1", "line 3: found 8 fields, expected 9"),
        ],
    )  # fmt: skip
    def test_a_bad_line_is_named_with_field_value_and_remedy(
        self, official: Path, file: str, line: int, text: str, message: str
    ) -> None:
        replace_line(official / file, line, text)
        said = refusal(official)
        assert re.search(message, said)
        assert said.startswith(str(official / file))
        assert "https://tianchi.aliyun.com/dataset/56" in said

    def test_a_missing_file(self, official: Path) -> None:
        (official / "ad_feature.csv").unlink()
        assert refusal(official).startswith(f"{official}: it lacks ad_feature.csv; give a folder or archive with raw_s")

    def test_a_file_with_a_header_only(self, official: Path) -> None:
        (official / "raw_sample.csv").write_text(SAMPLES.partition("\n")[0])
        with pytest.raises(FedctrError, match="data set taobao-ads: it holds no sample"):
            LOADER.read(official, Reading()).check()
        (official / "raw_sample.csv").write_text(SAMPLES)
        (official / "ad_feature.csv").write_text(ADS.partition("\n")[0])
        assert "raw_sample.csv, line 2, field adgroup_id: found '1', expected an id that" in refusal(official)

    def test_a_packed_file_that_is_cut_short(self, official: Path) -> None:
        packed = gzip.compress((official / "raw_sample.csv").read_bytes())
        (official / "raw_sample.csv").unlink()
        (official / "raw_sample.csv.gz").write_bytes(packed[:-12])
        assert "raw_sample.csv.gz: cannot be read" in refusal(official)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_whatever_is_damaged_gives_a_data_set_or_one_clear_line(official: Path, data: st.DataObject) -> None:
    victim = data.draw(st.sampled_from(sorted(official.iterdir())))
    content = victim.read_bytes()
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, min(start + 8, len(content))))
    put = data.draw(st.binary(max_size=8) | st.sampled_from([b"\n", b",", b"\r", b"1", b"NULL", b"-", b"\x00"]))
    how = data.draw(st.sampled_from(["stop", "skip"]))
    with tempfile.TemporaryDirectory() as scratch:
        for file in official.iterdir():
            (Path(scratch) / file.name).write_bytes(file.read_bytes())
        (Path(scratch) / victim.name).write_bytes(content[:start] + put + content[stop:])
        dataset: Dataset | None
        try:
            dataset = LOADER.read(Path(scratch), Reading(how))  # type: ignore[arg-type]
        except FedctrError as error:
            said, dataset = str(error), None
    if dataset is None:
        assert "\n" not in said
    else:
        assert dataset.offsets[-1] == dataset.samples == len(dataset.label)
        assert ((dataset.item >= 0) & (dataset.item < dataset.items)).all()
