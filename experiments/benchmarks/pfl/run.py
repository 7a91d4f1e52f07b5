"""pfl-research: its simulated backend evaluates every user after local training.

python run.py WORKLOAD_FOLDER RESULT_FOLDER

The stock personalisation algorithm measures each user four times, before and after training and on both parts. Only the
one measurement that is asked for is left here, which is to the library's favour.
"""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import PersonalizedNNAlgorithmParams
from pfl.algorithm.reptile import Reptile
from pfl.common_types import Population
from pfl.context import CentralContext, UserContext
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import MinimizeReuseUserSampler
from pfl.hyperparam import NNEvalHyperParams, NNTrainHyperParams
from pfl.metrics import Metrics, StringMetricName, Weighted
from pfl.model.pytorch import PyTorchModel
from pfl.postprocessor.base import Postprocessor

sys.path.append(str(Path(__file__).resolve().parents[1]))
from plain import Batch, measure, test_batch, training_batches
from plain_models import MODELS, published_model
from work import WARM_UP_USERS, Clock, Work, write_result

AUC = StringMetricName("AUC")


class UserData(Dataset):
    """A user's batches, prepared beforehand and in the order in which they are to be taken."""

    def __init__(self, user: int, batches: list[Batch], test: "UserData | None" = None) -> None:
        super().__init__(tuple(batches), user_id=str(user))
        self._test = test

    @classmethod
    def of(cls, work: Work, user: int) -> "UserData":
        """One user's training part, which knows the test part."""
        return cls(user, list(training_batches(work, user)), cls(user, [test_batch(work, user)]))

    def __len__(self) -> int:
        return sum(len(label) for *_, label in self.raw_data)

    def iter(self, batch_size: int | None) -> Iterator[Batch]:
        """Every batch once."""
        yield from self.raw_data

    def split(self, *fractions: object) -> "tuple[UserData, UserData | None]":
        """Training and test part, as they were cut for everybody."""
        return self, self._test


class Measured(torch.nn.Module):
    """The two methods that the library calls, to be mixed into a model."""

    def loss(self, *batch: torch.Tensor) -> torch.Tensor:
        """What a step descends."""
        *features, label = batch
        return F.binary_cross_entropy_with_logits(self(*features), label)

    def metrics(self, *batch: torch.Tensor) -> dict[str, Weighted]:
        """The AUC on a user's samples."""
        return {"AUC": Weighted.from_unweighted(measure(self, batch))}


class Personalise(Reptile):
    """Reptile's local training without its central update, and with one measurement for each user."""

    def simulate_one_user(
        self, model: PyTorchModel, user_dataset: UserData, central_context: CentralContext[Any, Any]
    ) -> tuple[None, Metrics]:
        """Fine-tune a user's model, measure it, and put the published one back."""
        training, test = user_dataset.split()
        self._initial_model_state = model.get_parameters(self._initial_model_state)
        self.train_one_user(self._initial_model_state, model, training, central_context)
        metrics = model.evaluate(test, lambda name: AUC, central_context.model_eval_params)
        model.set_parameters(self._initial_model_state)
        return None, metrics


class Collect(Postprocessor[Any]):
    """Keeps every user's AUC, where the library reports the mean."""

    def __init__(self, users: int) -> None:
        self.aucs = np.empty(users)

    def postprocess_one_user_metrics(self, *, user_context: UserContext) -> Metrics:
        """Note the user's."""
        self.aucs[int(user_context.user_id)] = user_context.metrics[AUC].overall_value
        return Metrics()


def main(workload: Path, result: Path) -> None:
    """Evaluate every user once, after a few to warm up."""
    torch.set_num_threads(1)
    work = Work.read(workload)
    users = {user: UserData.of(work, user) for user in range(work.users)}
    module = type("Module", (Measured, MODELS[work.model]), {})(work)
    module.load_state_dict(published_model(work).state_dict())
    model = PyTorchModel(module, partial(torch.optim.SGD, fused=True), torch.optim.SGD(module.parameters(), lr=1.0))
    collect = Collect(work.users)

    def evaluate(count: int) -> None:
        """Let the backend simulate so many users, as an algorithm's validation round would."""
        federated = FederatedDataset(users.__getitem__, MinimizeReuseUserSampler(range(count)))
        context = CentralContext(
            current_central_iteration=0,
            do_evaluation=True,
            cohort_size=count,
            population=Population.VAL,
            algorithm_params=PersonalizedNNAlgorithmParams(
                central_num_iterations=1,
                evaluation_frequency=1,
                train_cohort_size=0,
                val_cohort_size=count,
                val_split_fraction=0.8,
                min_train_size=1,
                min_val_size=1,
            ),
            model_train_params=NNTrainHyperParams(
                local_batch_size=work.batch_size, local_num_epochs=1, local_learning_rate=work.learning_rate
            ),
            model_eval_params=NNEvalHyperParams(local_batch_size=None),
        )
        SimulatedBackend(federated, federated, [collect]).gather_results(model, Personalise(), central_context=context)

    evaluate(WARM_UP_USERS)
    clock = Clock()
    evaluate(work.users)
    seconds, cpu_seconds = clock.read()
    write_result(result, collect.aucs, seconds, 1, ("torch", "numpy", "pfl"), cpu_seconds=cpu_seconds)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
