"""The plain PyTorch loop: one user after the other on one thread, weights reset in place.

python run.py WORKLOAD_FOLDER RESULT_FOLDER
"""

import sys
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).resolve().parents[1]))
from plain import fine_tune, measure, test_batch, training_batches
from plain_models import published_model
from work import WARM_UP_USERS, Clock, Work, write_result


def main(workload: Path, result: Path) -> None:
    """Fine-tune and measure every user; their tensors are prepared beforehand."""
    torch.set_num_threads(1)
    work = Work.read(workload)
    users = [(list(training_batches(work, user)), test_batch(work, user)) for user in range(work.users)]
    model = published_model(work)
    parameters = list(model.parameters())
    published = [parameter.detach().clone() for parameter in parameters]
    optimiser = torch.optim.SGD(parameters, lr=work.learning_rate, fused=True)

    def aucs(count: int) -> list[float]:
        found = []
        for training, test in users[:count]:
            with torch.no_grad():
                for parameter, start in zip(parameters, published, strict=True):
                    parameter.copy_(start)
            fine_tune(model, optimiser, training)
            found.append(measure(model, test))
        return found

    aucs(WARM_UP_USERS)
    clock = Clock()
    found = aucs(work.users)
    seconds, cpu_seconds = clock.read()
    write_result(result, found, seconds, 1, ("torch", "numpy"), cpu_seconds=cpu_seconds)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
