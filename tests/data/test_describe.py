import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from fedctr.data.dataset import Dataset, Field, Schema
from fedctr.data.describe import Description, describe, draw, histogram, measure_drift
from fedctr.data.reading import Reading
from fedctr.data.split import Days, Fractions
from fedctr.data.synthetic import Synthetic
from fedctr.errors import FedctrError


def of_labels(*users: Sequence[int]) -> Dataset:
    """A data set that has these labels, in the order of time, and nothing else of interest."""
    counts = [len(labels) for labels in users]
    samples = sum(counts)
    return Dataset(
        name="hand-made",
        schema=Schema((Field("user", len(users) + 1),), (Field("item", 2),)),
        user_ids=pa.array([str(user) for user in range(len(users))]),
        item_ids=pa.array(["x"]),
        user_codes=np.arange(1, len(users) + 1, dtype=np.int32)[:, None],
        item_codes=np.array([[1]], np.int32),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item=np.zeros(samples, np.int32),
        label=np.concatenate(users).astype(np.uint8),
        time=np.arange(samples, dtype=np.int64),
    )


# Of ten samples seven are for training, one for validation and two for test.
HAND_MADE = of_labels([1, 1, 1, 1, 1, 1, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0, 1, 1, 1, 1], [])


class TestByHand:
    def test_rates_are_those_of_the_training_parts(self) -> None:
        measured = measure_drift(HAND_MADE)
        assert measured.global_ctr == 8 / 14
        assert measured.local_ctr.tolist() == [1, 1 / 7]  # the third user has no sample
        assert measured.drift.tolist() == [1 - 8 / 14, 1 / 7 - 8 / 14]

    def test_the_description(self) -> None:
        found = describe(HAND_MADE)
        assert (found.dataset, found.users, found.items, found.samples) == ("hand-made", 3, 1, 20)
        assert found.ctr == 12 / 20
        assert found.global_ctr == 8 / 14
        assert found.local_ctr["p50"] == pytest.approx(4 / 7)
        assert found.drift["p5"] == pytest.approx(-3 / 7 + 0.05 * 6 / 7)
        assert found.mean_absolute_drift == pytest.approx(3 / 7)
        assert found.share_drifting_far == 1
        assert found.samples_per_user["p50"] == 10
        assert found.one_class_test_users == 2  # the second and the one without a sample

    def test_other_fractions_are_other_parts(self) -> None:
        assert measure_drift(HAND_MADE, Fractions(0.1, 0.5)).local_ctr.tolist() == [1, 0]

    def test_days_are_other_parts_and_users_without_a_training_sample_have_no_rate(self) -> None:
        # One sample a day: the first user's on days 0 to 9, the second's on days 10 to 19. Training ends after day 7.
        daily = replace(HAND_MADE, time=np.arange(20, dtype=np.int64) * 86_400)
        found = describe(daily, Days(validation=4, test=8))
        assert measure_drift(daily, Days(validation=4, test=8)).local_ctr.tolist() == [7 / 8]
        assert found.global_ctr == 7 / 8
        assert found.mean_absolute_drift == 0
        assert found.one_class_test_users == 2  # the first has no test sample, as the third

    def test_it_is_json(self) -> None:
        description = describe(HAND_MADE)
        assert Description(**json.loads(json.dumps(asdict(description)))) == description


def test_movielens_100k_drifts_as_measured_before(movielens_100k: Dataset) -> None:
    found = describe(movielens_100k)
    assert found.ctr == pytest.approx(0.55375)
    assert found.global_ctr == pytest.approx(0.583, abs=0.0005)
    assert found.mean_absolute_drift == pytest.approx(0.145, abs=0.0005)
    assert found.local_ctr["p5"] == pytest.approx(0.27, abs=0.005)
    assert found.local_ctr["p95"] == pytest.approx(0.87, abs=0.005)
    assert found.share_drifting_far == pytest.approx(0.28, abs=0.01)


class TestHistogram:
    def test_every_value_is_counted_in_the_bar_that_is_nearest(self) -> None:
        bars = histogram(np.array([0.0, 0.02, 0.06, 0.1]))
        assert [height for _, height in bars] == [2, 1, 1]
        assert [centre for centre, _ in bars] == pytest.approx([0, 0.05, 0.1])

    def test_nothing_is_lost_at_the_ends(self) -> None:
        rates = np.linspace(0, 1, 1001)
        assert sum(height for _, height in histogram(rates)) == 1001
        assert sum(height for _, height in histogram(rates - 0.583)) == 1001

    def test_one_value(self) -> None:
        assert histogram(np.array([0.5])) == [(0.5, 1)]


class TestPicture:
    @pytest.fixture
    def dataset(self) -> Dataset:
        return Synthetic(users=50).read(None, Reading())

    def test_it_is_a_wide_png(self, dataset: Dataset, tmp_path: Path) -> None:
        draw(dataset, tmp_path / "drift.png")
        with Image.open(tmp_path / "drift.png") as image:
            assert image.format == "PNG"
            assert image.width > 2 * image.height > 400

    def test_it_leaves_no_global_figure_behind(self, dataset: Dataset, tmp_path: Path) -> None:
        from matplotlib._pylab_helpers import Gcf

        draw(dataset, tmp_path / "drift.svg")
        assert Gcf.get_all_fig_managers() == []

    @pytest.mark.parametrize("name", ["drift.xyz", "no/folder/drift.png"])
    def test_where_it_cannot_be_saved(self, dataset: Dataset, tmp_path: Path, name: str) -> None:
        with pytest.raises(FedctrError, match="the picture cannot be saved"):
            draw(dataset, tmp_path / name)
