import pytest

from fedctr.cohort import Cohort
from fedctr.errors import FedctrError
from fedctr.strategy import strategies
from strategies.no_fine_tuning import NoFineTuning
from tests.engine import features_of, publish, rows, task


def test_it_scores_the_published_model_once_whatever_is_to_be_tried() -> None:
    features = features_of([5, 0], [4, 3])
    published = publish("lr", features.dataset.schema)
    found = rows(published, NoFineTuning(), features, task(rates=(0.1, 0.3), epochs=(1, 2)))
    assert found["user"].tolist() == [0, 1]
    assert found["learning_rate"].tolist() == [0.0, 0.0]
    assert found["epochs"].tolist() == [0, 0]
    cohort = Cohort.build(features, found["user"].astype("int64"), "test", 32, published.model.reads)
    logits = cohort.local(published, 0).published_logits
    assert logits.std() > 0  # the published model tells samples apart, and nothing was done to it


def test_it_has_no_options() -> None:
    with pytest.raises(FedctrError, match="strategy no-fine-tuning has no option 'strength'; it has none"):
        strategies.create("no-fine-tuning[strength=1]")
