"""The Flower server: trains and publishes the global model, asks the clients, and keeps what they reply."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import pandas as pd
from flwr.app import Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp

from fedctr.cloud import publish
from fedctr.config import Experiment
from fedctr.data.split import Part
from fedctr.errors import FedctrError
from fedctr.messages import Failure, Task, pack_task, unpack_reply
from fedctr.progress import Terminal
from fedctr.protocol import Trial, choose, validation_curve
from fedctr.published import Published
from fedctr.run import Run
from fedctr.summary import conclude

POLL_SECONDS = 0.05
TASKS_IN_FLIGHT = 2  # enough to keep every client busy; each task in flight holds a copy of the weights
PATIENCE_SECONDS = 120


class StoppedError(Exception):
    """Somebody asked the run to stop."""


def serve(grid: Grid, run: Run) -> None:
    """Do everything that an experiment asks for; finished cells land in the run folder one by one.

    Args:
        grid: Flower's way to the clients.
        run: the experiment and its folder. Failures at clients are collected in ``run.failures``.

    Raises:
        FedctrError: when the clients do not come up, or the model cannot be trained.
        StoppedError: when ``run.stop`` was set.
    """
    published = [_publish(run, seed) for seed in run.seeds]
    server = _Server(grid, run, published, _find_clients(grid, run))
    server.collect("validation", {spec: None for spec, strategy in run.strategies.items() if strategy.tunes})
    failed = {failure.strategy for failure in run.failures}
    server.collect("test", {spec: _choose(run, spec) for spec in run.strategies if spec not in failed})


@dataclass(frozen=True)
class _Server:
    grid: Grid
    run: Run
    published: list[Published]  # by seed
    nodes: list[int]  # by partition

    def collect(self, part: Part, trials: dict[str, Trial | None]) -> None:
        """Have every cell of one part computed that is not in the run folder yet.

        ``trials`` maps a strategy to the trial to run, or to None for the whole grid.
        """
        run = self.run
        tasks = [
            self._task(part, spec, seed, trial)
            for seed in run.seeds
            for spec, trial in trials.items()
            if not run.cell(part, spec, seed).is_file()
        ]
        run.reporter.phase(f"{part}: {len(trials)} strategies x {len(run.seeds)} seeds", len(tasks) * len(self.nodes))
        for task, replies in self._ask(tasks):
            failures = [reply for reply in replies if isinstance(reply, Failure)]
            rows = [reply for reply in replies if isinstance(reply, pd.DataFrame)]
            for failure in failures:
                run.log(f"{part}, seed {task.seed}: {failure}")
            run.failures.extend(failures)
            if rows:
                table = pd.concat(rows).sort_values(["learning_rate", "epochs", "user"], ignore_index=True)
                # A cell with a client missing is kept, but not under the name of a finished one.
                cell = run.cell(part, task.strategy, task.seed)
                run.write(cell.with_suffix(".partial") if failures else cell, partial(table.to_parquet, index=False))

    def _task(self, part: Part, spec: str, seed: int, trial: Trial | None) -> Task:
        experiment = self.run.experiment
        return Task(
            dataset=str(self.run.dataset.folder),
            fractions=experiment.split,
            part=part,
            strategy=spec,
            seed=seed,
            learning_rates=(trial.learning_rate,) if trial else experiment.learning_rates,
            epochs=(trial.epochs,) if trial else experiment.epochs,
            batch_size=experiment.batch_size,
            stop_file=str(self.run.stop_file),
        )

    def _ask(self, tasks: list[Task]) -> Iterator[tuple[Task, list[pd.DataFrame | Failure]]]:
        """Send every task to every client and yield each task when its last reply has come in."""
        ahead = iter(tasks)
        senders: dict[str, tuple[Task, int]] = {}
        replies: dict[Task, list[pd.DataFrame | Failure]] = {}

        def send() -> None:
            for task in islice(ahead, TASKS_IN_FLIGHT - len(replies)):
                content = pack_task(self.published[task.seed], task)
                messages = [Message(content, node, MessageType.EVALUATE) for node in self.nodes]
                for client, message_id in enumerate(self.grid.push_messages(messages)):
                    senders[message_id] = task, client
                replies[task] = []

        send()
        while senders:
            messages = list(self.grid.pull_messages(list(senders)))
            for message in messages:
                task, client = senders.pop(message.metadata.reply_to_message_id)
                if message.has_error():
                    replies[task].append(Failure(client, task.strategy, "", _one_line(message.error.reason)))
                else:
                    replies[task].append(unpack_reply(message.content))
                self.run.reporter.advance(1, task.strategy)
                if len(replies[task]) == len(self.nodes):
                    yield task, replies.pop(task)
                    send()
            if self.run.stop.is_set():
                self.run.stop_file.touch()
                raise StoppedError
            if not messages:
                time.sleep(POLL_SECONDS)


def _publish(run: Run, seed: int) -> Published:
    kept = run.kept_published(seed)
    if kept:
        return kept
    experiment = run.experiment
    run.reporter.phase(f"cloud: {experiment.model}, seed {seed}", experiment.cloud.epochs)

    def progress(epoch: int, log_loss: float) -> None:
        run.reporter.advance(1, f"validation log loss {log_loss:.4f}")
        if run.stop.is_set():
            raise StoppedError

    published, facts = publish(experiment.model, run.dataset, experiment.split, experiment.cloud, seed, progress)
    run.reporter.finish()
    run.keep_published(published, facts, seed)
    return published


def _find_clients(grid: Grid, run: Run) -> list[int]:
    """Ask who holds which partition, until every partition has its client."""
    run.reporter.phase("clients")
    asked: set[int] = set()
    pending: list[str] = []
    holders: dict[int, int] = {}
    expected = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not expected or len(holders) < expected:
        fresh = set(grid.get_node_ids()) - asked
        asked |= fresh
        pending += grid.push_messages([Message(RecordDict(), node, MessageType.QUERY) for node in fresh])
        replies = list(grid.pull_messages(pending))
        for message in replies:
            if message.has_error():
                raise FedctrError(f"a client could not start: {_one_line(message.error.reason)}")
            pending.remove(message.metadata.reply_to_message_id)
            facts = message.content.config_records["client"]
            holders[int(str(facts["partition"]))] = message.metadata.src_node_id
            expected = int(str(facts["partitions"]))
        if run.stop.is_set():
            raise StoppedError
        if time.monotonic() > deadline:
            raise FedctrError(f"{len(holders)} of {expected or 'the'} clients answered within {PATIENCE_SECONDS} s")
        if not replies:
            time.sleep(POLL_SECONDS)
    if expected > run.dataset.users:
        raise FedctrError(f"{expected:,} clients for {run.dataset.users:,} users; start fewer")
    return [holders[partition] for partition in range(expected)]


def _choose(run: Run, spec: str) -> Trial | None:
    """The trial that validation chooses; None for a strategy that does not tune."""
    if not run.strategies[spec].tunes:
        return None
    cells = (pd.read_parquet(run.cell("validation", spec, seed)).assign(seed=seed) for seed in run.seeds)
    trial = choose(validation_curve(pd.concat(cells)))
    if trial is None:
        raise FedctrError(
            f"{run.dataset.name}: no user has both classes in validation, so nothing can be chosen there; "
            "raise split.validation, or give one learning rate and one number of epochs"
        )
    run.log(f"{spec}: learning rate {trial.learning_rate:g}, {trial.epochs} epochs")
    return trial


def _one_line(text: str | None) -> str:
    lines = [line.strip() for line in (text or "no reason given").splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """What ``flwr run`` starts: the experiment of the run configuration, with dashes for underscores."""
    keys = {key.replace("-", "_"): value for key, value in context.run_config.items() if value != ""}
    # The federation decides on the number of clients, which changes no result.
    experiment = Experiment.of({**keys, "partitions": 1}, "run configuration")
    with Terminal() as reporter:
        run = Run.open(experiment, reporter)
        serve(grid, run)
        result = conclude(run)
        print(result.table())
        print(f"Run folder: {run.folder.absolute()}")
    if result.complaint:
        raise FedctrError(result.complaint)
