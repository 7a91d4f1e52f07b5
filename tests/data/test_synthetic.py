import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from fedctr.data.dataset import Dataset
from fedctr.data.reading import Reading
from fedctr.data.synthetic import FEWEST_SAMPLES, Synthetic

MANY = Synthetic(users=3000)


@pytest.fixture(scope="module")
def many() -> Dataset:
    return MANY.read(None, Reading())


def per_user(dataset: Dataset, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means (users,)."""
    means: npt.NDArray[np.float64] = np.add.reduceat(values, dataset.offsets[:-1]) / np.diff(dataset.offsets)
    return means


def spread_of_logit_ctr(options: Synthetic) -> float:
    dataset = options.read(None, Reading())
    counts = np.diff(dataset.offsets)
    positives = per_user(dataset, dataset.label.astype(float)) * counts
    return float(np.std(np.log((positives + 0.5) / (counts - positives + 0.5))))


class TestForm:
    @settings(max_examples=20, deadline=None)
    @given(users=st.integers(1, 40), items=st.integers(1, 60), seed=st.integers(0, 2**31 - 2))
    def test_any_sizes_make_a_sound_data_set(self, users: int, items: int, seed: int) -> None:
        dataset = Synthetic(users=users, items=items, seed=seed).read(None, Reading())
        assert (dataset.users, dataset.items) == (users, items) == (dataset.schema.users, dataset.schema.items)
        assert dataset.user_ids.to_pylist() == [str(user + 1) for user in range(users)]
        assert dataset.user_codes[:, 0].tolist() == list(range(1, users + 1))
        assert dataset.item_codes[:, 0].tolist() == list(range(1, items + 1))
        for codes, fields in (
            (dataset.user_codes, dataset.schema.user_fields),
            (dataset.item_codes, dataset.schema.item_fields),
        ):
            bounds = np.repeat([field.cardinality for field in fields], [field.values for field in fields])
            assert codes.dtype == np.int32
            assert ((codes >= 0) & (codes < bounds)).all()
        assert ((dataset.item >= 0) & (dataset.item < items)).all()
        assert np.diff(dataset.offsets).min() >= FEWEST_SAMPLES
        assert dataset.offsets[-1] == dataset.samples == len(dataset.label) == len(dataset.time)

    def test_samples_are_sorted_by_time_and_ties_by_item(self, many: Dataset) -> None:
        user = np.repeat(np.arange(many.users), np.diff(many.offsets))
        assert (np.lexsort((many.item, many.time, user)) == np.arange(many.samples)).all()

    def test_some_samples_are_tied_in_time_but_no_impression_is_repeated(self, many: Dataset) -> None:
        user = np.repeat(np.arange(many.users), np.diff(many.offsets))
        tied = (np.diff(many.time) == 0) & (np.diff(user) == 0)
        assert 0.05 < tied.mean() < 0.15
        assert (np.diff(many.item)[tied] > 0).all()

    def test_every_item_has_one_to_three_tags(self, many: Dataset) -> None:
        tags = many.item_codes[:, 2:]
        assert set((tags > 0).sum(axis=1).tolist()) == {1, 2, 3}
        assert (tags[:, 0] > 0).all()


class TestReproducibility:
    def test_the_same_seed_is_the_same_data(self) -> None:
        assert (
            Synthetic(users=30).read(None, Reading()).content_hash
            == Synthetic(users=30).read(None, Reading()).content_hash
        )

    def test_another_seed_is_other_data(self) -> None:
        assert (
            Synthetic(users=30).read(None, Reading()).content_hash
            != Synthetic(users=30, seed=1).read(None, Reading()).content_hash
        )

    @pytest.mark.parametrize("users", [1, 20, 1024, 1500])
    def test_the_first_users_are_the_same_however_many_follow(self, many: Dataset, users: int) -> None:
        few = Synthetic(users=users).read(None, Reading())
        assert (few.offsets == many.offsets[: users + 1]).all()
        assert (few.user_codes == many.user_codes[:users]).all()
        assert (few.item_codes == many.item_codes).all()
        for name in ("item", "label", "time"):
            assert (getattr(few, name) == getattr(many, name)[: few.samples]).all()


class TestTruth:
    def test_it_has_one_row_per_sample_and_per_user(self, many: Dataset) -> None:
        truth = MANY.truth()
        assert truth.probability.shape == (many.samples,)
        assert truth.intercept.shape == (many.users,)

    def test_labels_are_drawn_from_it(self, many: Dataset) -> None:
        probability = MANY.truth().probability
        for low in np.arange(0, 1, 0.1):
            here = (probability >= low) & (probability < low + 0.1)
            assert many.label[here].mean() == pytest.approx(probability[here].mean(), abs=0.02)

    def test_true_probabilities_rank_better_than_chance(self, many: Dataset) -> None:
        assert roc_auc_score(many.label, MANY.truth().probability) > 0.75

    def test_without_drift_and_taste_only_items_differ(self) -> None:
        options = Synthetic(users=200, drift=0, taste=0)
        dataset, truth = options.read(None, Reading()), options.truth()
        assert (truth.intercept == 0).all()
        assert len(np.unique(truth.probability)) == len(np.unique(dataset.item))

    def test_within_a_user_taste_makes_the_ranking(self) -> None:
        def mean_auc(taste: float) -> float:
            options = Synthetic(users=300, taste=taste)
            dataset, probability = options.read(None, Reading()), options.truth().probability
            aucs = [
                roc_auc_score(dataset.label[start:stop], probability[start:stop])
                for start, stop in zip(dataset.offsets[:-1], dataset.offsets[1:], strict=True)
                if 0 < dataset.label[start:stop].mean() < 1
            ]
            return float(np.mean(aucs))

        weak, strong = mean_auc(0.2), mean_auc(2.0)
        assert 0.55 < weak < strong - 0.1

    def test_group_and_category_carry_taste(self, many: Dataset) -> None:
        """Whoever knows only the fields, not the ids, still ranks better than by the category alone."""
        user = np.repeat(np.arange(many.users), np.diff(many.offsets))
        group, category = many.user_codes[user, 1], many.item_codes[many.item, 1]
        half = np.arange(many.samples) % 2 == 0

        def auc(cell: npt.NDArray[np.int32]) -> float:
            rate = np.bincount(cell[half], many.label[half], 200) / np.maximum(1, np.bincount(cell[half], None, 200))
            return float(roc_auc_score(many.label[~half], rate[cell[~half]]))

        assert auc(group * 25 + category) > auc(category) + 0.03


class TestKnobs:
    @pytest.mark.parametrize("ctr", [0.02, 0.3, 0.7])
    def test_the_ctr_is_about_the_one_asked_for(self, ctr: float) -> None:
        assert Synthetic(users=3000, ctr=ctr).read(None, Reading()).label.mean() == pytest.approx(ctr, rel=0.1)

    def test_samples_per_user_are_about_the_number_asked_for_and_vary(self, many: Dataset) -> None:
        counts = np.diff(many.offsets)
        assert counts.mean() == pytest.approx(50, rel=0.05)
        assert counts.std() > 20

    def test_drift_is_the_spread_of_local_ctr(self) -> None:
        spreads = [spread_of_logit_ctr(Synthetic(drift=drift)) for drift in (0, 0.8, 1.6)]
        assert spreads[0] + 0.2 < spreads[1] < spreads[2] - 0.2

    def test_intercepts_have_the_drift_as_their_standard_deviation(self) -> None:
        assert MANY.truth().intercept.std() == pytest.approx(0.8, rel=0.05)

    def test_popular_items_are_shown_far_more_often(self, many: Dataset) -> None:
        shown = np.sort(np.bincount(many.item, minlength=many.items))[::-1]
        assert shown[:50].sum() > 5 * shown[-50:].sum() > 0

    @pytest.mark.parametrize(
        ("option", "value", "expected"),
        [
            ("users", 0, "users is 0; it must be a whole number of at least 1"),
            ("users", 1.5, "users is 1.5; it must be a whole number"),
            ("items", True, "items is True; it must be a whole number"),
            ("seed", -1, "seed is -1; it must be a whole number of at least 0"),
            ("samples_per_user", 9, "samples_per_user is 9; it must be a number from 10 to 1e"),
            ("ctr", 0.0, "ctr is 0.0; it must be a number from 0.001 to 0.999"),
            ("ctr", float("nan"), "ctr is nan; it must be a number"),
            ("drift", -0.1, "drift is -0.1; it must be a number from 0 to 10"),
            ("taste", "high", "taste is 'high'; it must be a number from 0 to 10"),
        ],
    )
    def test_an_impossible_value_is_refused(self, option: str, value: object, expected: str) -> None:
        with pytest.raises(ValueError, match=option) as caught:
            Synthetic(**{option: value})  # type: ignore[arg-type]
        assert str(caught.value).startswith(expected)
