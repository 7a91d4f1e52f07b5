"""The Flower server: trains and publishes the global model, asks the clients, and keeps what they reply."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import inf

import pandas as pd
from flwr.app import Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp

from fedctr.cloud import publish
from fedctr.composition import ALL
from fedctr.config import Experiment
from fedctr.cost import measured
from fedctr.data.partition import partition
from fedctr.data.split import Part
from fedctr.engines import compiles_first
from fedctr.errors import FedctrError
from fedctr.folder import RunFolder, write_whole
from fedctr.interruption import StoppedError, after_each_epoch
from fedctr.messages import Failure, Task, WeightsWanted, digest, pack_task, unpack_reply
from fedctr.progress import Terminal
from fedctr.protocol import Trial, choose, validation_curve
from fedctr.published import Published
from fedctr.run import Run
from fedctr.standings import COLUMNS, Standings
from fedctr.summary import conclude

POLL_SECONDS = 0.02, 0.5  # between two looks for replies: the first after a reply, then twice as long each, at most
TASKS_IN_FLIGHT = 4  # enough to keep every client busy while Flower passes messages on, which takes it 0.1 s and more
PATIENCE_SECONDS = 300  # a client of its own process loads PyTorch, which takes minutes on a machine that is busy


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
    server = Server(run, Post(grid, find_clients(grid, run), published), Standings(run))
    server.standings.announce()
    if len(run.trials) > 1:
        server.collect("validation", {spec: None for spec, strategy in run.strategies.items() if strategy.tunes})
    failed = {failure.strategy for failure in run.failures}
    server.collect("test", {spec: _choose(run, spec) for spec in run.strategies if spec not in failed})


@dataclass(frozen=True)
class Server:
    """Asks for what an experiment needs, and keeps it.

    Attributes:
        run: the experiment and its folder.
        post: the way to the clients.
        standings: what the user is shown meanwhile.
    """

    run: Run
    post: "Post"
    standings: Standings

    def collect(self, part: Part, trials: dict[str, Trial | None]) -> None:
        """Have every cell of one part computed that is not in the run folder yet.

        ``trials`` maps a strategy to the trial to run, or to None for the whole grid.
        """
        run = self.run
        tasks = []
        for seed in run.seeds:
            for spec, trial in trials.items():
                if (cell := run.cell(part, spec, seed)).is_file():
                    self.standings.add(part, spec, seed, pd.read_parquet(cell, columns=COLUMNS))
                else:
                    tasks.append(self._task(part, spec, seed, trial))
        what = f"{part}: {len(trials)} strategies x {len(run.seeds)} seeds"
        run.reporter.phase(what, len(tasks) * run.dataset.users, "users")
        if any(self._compiles_first(task) for task in tasks):
            run.reporter.say("compiling the engine for this machine, which takes about 40 seconds, and only once")
        begun = time.monotonic()
        for task, replies in self.ask(tasks):
            failures = [reply for reply in replies if isinstance(reply, Failure)]
            rows = [reply for reply in replies if isinstance(reply, pd.DataFrame)]
            for failure in failures:
                run.log(f"{part}, seed {task.seed}: {failure}")
            run.failures.extend(failures)
            if rows:
                table = pd.concat(rows).sort_values(["learning_rate", "epochs", "user"], ignore_index=True)
                # A cell with a client missing is kept, but not under the name of a finished one.
                cell = run.cell(part, task.strategy, task.seed)
                write_whole(cell.with_suffix(".partial") if failures else cell, partial(table.to_parquet, index=False))
                if not failures:
                    self.standings.add(part, task.strategy, task.seed, table)
        run.reporter.finish()
        seconds = time.monotonic() - begun
        run.log(f"{what}: {len(tasks)} tasks of {run.dataset.users:,} users took {seconds:.1f} s")

    def _compiles_first(self, task: Task) -> bool:
        """Whether the clients, who cannot say so, are going to; those on other machines are not known."""
        return compiles_first(self.post.published[task.seed].model, self.run.strategies[task.strategy], task)

    def _task(self, part: Part, spec: str, seed: int, trial: Trial | None) -> Task:
        experiment = self.run.experiment
        return Task(
            dataset=str(self.run.dataset.folder),
            rule=experiment.rule,
            part=part,
            strategy=spec,
            seed=seed,
            learning_rates=(trial.learning_rate,) if trial else experiment.learning_rates,
            epochs=(trial.epochs,) if trial else experiment.epochs,
            batch_size=experiment.batch_size,
            optimiser=experiment.optimiser,
            local=experiment.local,
            stop_file=str(self.run.stop_file),
            device=experiment.device,
        )

    def ask(self, tasks: list[Task]) -> Iterator[tuple[Task, list[pd.DataFrame | Failure]]]:
        """Send every task to every client and yield each task when its last reply has come in."""
        ahead = iter(tasks)
        replies: dict[Task, list[pd.DataFrame | Failure]] = {}

        def send() -> None:
            for task in islice(ahead, TASKS_IN_FLIGHT - len(replies)):
                replies[task] = []
                for client in range(len(self.post.nodes)):
                    self.post.send(task, client)

        send()
        pause, longest = POLL_SECONDS
        while replies:
            answers = list(self.post.receive())
            for task, client, reply in answers:
                replies[task].append(reply)
                users = partition(self.run.dataset.users, client, len(self.post.nodes))
                self.run.reporter.advance(len(users), task.strategy)
                if len(replies[task]) == len(self.post.nodes):
                    yield task, replies.pop(task)
                    send()
            if self.run.stop.is_set():
                self.run.stop_file.touch()
                raise StoppedError
            # Flower searches all messages at every look, which takes time that the clients could use.
            pause = POLL_SECONDS[0] if answers else min(2 * pause, longest)
            if not answers:
                time.sleep(pause)


class Post:
    """Tasks on their way to the clients, with weights only where a worker has asked for them.

    Any worker may serve any client, so the weights for one worker can end up at another one. Until they have arrived
    somewhere, further tasks that this worker cannot start without them are held back, not sent again and again.

    Args:
        grid: Flower's way to the clients.
        nodes: the node of each client.
        published: where the tasks start, by seed.
    """

    def __init__(self, grid: Grid, nodes: list[int], published: list[Published]) -> None:
        self.nodes = nodes
        self._grid = grid
        self.published = published
        self._digests = [digest(each) for each in published]
        self._sent: dict[str, tuple[Task, int]] = {}
        self._fresh = set(range(len(published)))  # seeds whose weights no worker has seen
        self._carrying: dict[str, tuple[int, str]] = {}  # messages with weights: their seed, and who asked for them
        self._held: list[tuple[Task, int]] = []

    def send(self, task: Task, client: int, asked_by: str = "") -> None:
        """Send a task to a client, with weights if a worker asked for them, or surely none has them."""
        with_weights = bool(asked_by) or task.seed in self._fresh
        self._fresh.discard(task.seed)
        content = pack_task(task, self._digests[task.seed], self.published[task.seed] if with_weights else None)
        (message_id,) = self._grid.push_messages([Message(content, self.nodes[client], MessageType.EVALUATE)])
        self._sent[message_id] = task, client
        if with_weights:
            self._carrying[message_id] = task.seed, asked_by

    def receive(self) -> Iterator[tuple[Task, int, pd.DataFrame | Failure]]:
        """The replies that have come in, each to its task from a client; empty when there are none yet."""
        for message in self._grid.pull_messages(list(self._sent)):
            message_id = message.metadata.reply_to_message_id
            task, client = self._sent.pop(message_id)
            arrived = self._carrying.pop(message_id, None)
            if message.has_error():
                yield task, client, Failure(client, task.strategy, "", one_line(message.error.reason))
            elif not isinstance(reply := unpack_reply(message.content), WeightsWanted):
                yield task, client, reply
            elif (task.seed, reply.worker) in self._carrying.values():
                self._held.append((task, client))
            else:
                self.send(task, client, reply.worker)
            if arrived:
                free = [held for held in self._held if held[0].seed == task.seed]
                self._held = [held for held in self._held if held[0].seed != task.seed]
                for held in free:
                    self.send(*held)


def _publish(run: Run, seed: int) -> Published:
    kept = run.kept_published(seed)
    if kept:
        return kept
    if run.borrowed:
        published, facts = run.borrowed[seed]
        run.keep_published(published, facts, seed)
        return published
    experiment = run.experiment
    run.reporter.phase(f"cloud: {experiment.model}, seed {seed}", experiment.cloud.epochs, "epochs")
    published, facts = publish(
        experiment.model, run.dataset, experiment.rule, experiment.cloud, seed, after_each_epoch(run)
    )
    run.reporter.finish()
    run.keep_published(published, facts, seed)
    return published


def find_clients(grid: Grid, run: RunFolder) -> list[int]:
    """Ask who holds which partition, until every partition has its client: the node of each.

    Raises:
        FedctrError: when they do not come up in time, or are more than there are users.
        StoppedError: when ``run.stop`` was set.
    """
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
                raise FedctrError(f"a client could not start: {one_line(message.error.reason)}")
            pending.remove(message.metadata.reply_to_message_id)
            facts = message.content.config_records["client"]
            holders[int(str(facts["partition"]))] = message.metadata.src_node_id
            expected = int(str(facts["partitions"]))
        if run.stop.is_set():
            raise StoppedError
        if time.monotonic() > deadline:
            raise FedctrError(
                f"{len(holders)} of {expected or 'the'} clients answered within {PATIENCE_SECONDS} s; is the machine "
                "busy with other work? Run it again to go on"
            )
        if not replies:
            time.sleep(POLL_SECONDS[0])
    if expected > run.dataset.users:
        raise FedctrError(f"{expected:,} clients for {run.dataset.users:,} users; start fewer")
    return [holders[partition] for partition in range(expected)]


def _choose(run: Run, spec: str) -> Trial | None:
    """The trial that validation chooses; None for a strategy that does not tune."""
    if not run.strategies[spec].tunes:
        return None
    if len(run.trials) == 1:
        return run.trials[0]
    cells = (pd.read_parquet(run.cell("validation", spec, seed)).assign(seed=seed) for seed in run.seeds)
    trial = choose(validation_curve(pd.concat(cells)))
    if trial is None:
        raise FedctrError(
            f"{run.dataset.name}: no user has both classes in validation, so nothing can be chosen there; "
            "raise split.validation, or give one learning rate and one number of epochs"
        )
    run.log(f"{spec}: learning rate {trial.learning_rate:g}, {trial.epochs} epochs")
    return trial


def replies(grid: Grid, run: RunFolder, sent: dict[str, int], seconds: float = inf) -> Iterator[tuple[int, Message]]:
    """Replies to messages as they come in, each with its client.

    Args:
        grid: Flower's way to the clients.
        run: whose stop is heeded.
        sent: the client of each message that was pushed; those that have not replied in time are left there.
        seconds: how long to wait.

    Raises:
        StoppedError: when ``run.stop`` was set.
    """
    deadline = time.monotonic() + seconds
    pause, longest = POLL_SECONDS
    while sent:
        answers = list(grid.pull_messages(list(sent)))
        for message in answers:
            yield sent.pop(message.metadata.reply_to_message_id), message
        if run.stop.is_set():
            run.stop_file.touch()
            raise StoppedError
        if not answers and time.monotonic() > deadline:
            return
        pause = POLL_SECONDS[0] if answers else min(2 * pause, longest)
        if not answers:
            time.sleep(pause)


def one_line(text: str | None) -> str:
    """The last line of an error's text, which is what it comes down to."""
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
        with measured(run.folder):
            serve(grid, run)
            result = conclude(run)
        print(result.table(ranked=ALL in experiment.strategies))
        print(f"Run folder: {run.folder.absolute()}")
        # Flower ships Python and no HTML, so the report is left to the command line.
        print(f"To read it in a browser: fedctr report {run.folder.absolute()}")
    if result.complaint:
        raise FedctrError(result.complaint)
