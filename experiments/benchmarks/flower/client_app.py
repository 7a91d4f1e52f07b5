"""The Flower client: one node for each user."""

from functools import lru_cache
from pathlib import Path

import torch
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from plain import fine_tune, measure, test_batch, training_batches
from plain_models import MODELS
from work import Work

app = ClientApp()


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Fine-tune the model that came along on this user's samples, and measure it on its test part."""
    torch.set_num_threads(1)
    work = load_work(str(message.content.config_records["config"]["workload"]))
    user = int(context.node_config["partition-id"])
    model = MODELS[work.model](work)
    model.load_state_dict(message.content.array_records["arrays"].to_torch_state_dict())
    optimiser = torch.optim.SGD(model.parameters(), lr=work.learning_rate, fused=True)
    fine_tune(model, optimiser, training_batches(work, user))
    metrics = MetricRecord({"user": user, "auc": measure(model, test_batch(work, user))})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


@lru_cache(maxsize=1)
def load_work(folder: str) -> Work:
    """The samples, read once in each process."""
    return Work.read(Path(folder))
