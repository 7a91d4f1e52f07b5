"""The Flower server: trains and publishes the global model, asks the clients, and keeps what they reply."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import pandas as pd
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedctr.cloud import publish
from fedctr.composition import ALL
from fedctr.config import Experiment
from fedctr.cost import cost_kept
from fedctr.counted import counted
from fedctr.data.partition import partition
from fedctr.data.split import Part
from fedctr.engines import compiles_first
from fedctr.errors import FedctrError
from fedctr.folder import write_whole
from fedctr.fused.compiled import COMPILING
from fedctr.interruption import after_each_epoch
from fedctr.messages import CellTask, Failure
from fedctr.post import Post, find_clients, looks
from fedctr.progress import Terminal
from fedctr.protocol import Trial, choose, validation_curve
from fedctr.published import Published
from fedctr.run import Run
from fedctr.standings import COLUMNS, Standings
from fedctr.summary import conclude
from fedctr.user_rows import write_rows

TASKS_IN_FLIGHT = 4  # enough to keep every client busy while messages are on their way


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
    post: Post
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
        strategies, seeds = counted(len(trials), "strategy", "strategies"), counted(len(run.seeds), "seed")
        what = f"{part}: {strategies} x {seeds}"
        run.reporter.phase(what, len(tasks) * run.dataset.users, "users")
        if any(self._compiles_first(task) for task in tasks):
            run.reporter.say(COMPILING)
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
                write_whole(cell.with_suffix(".partial") if failures else cell, partial(write_rows, table))
                if not failures:
                    self.standings.add(part, task.strategy, task.seed, table)
        run.reporter.finish()
        seconds = time.monotonic() - begun
        run.log(f"{what}: {len(tasks)} tasks of {run.dataset.users:,} users took {seconds:.1f} s")

    def _compiles_first(self, task: CellTask) -> bool:
        """Whether the clients, who cannot say so, are going to; those on other machines are not known."""
        published, strategy = self.post.published[task.seed], self.run.strategies[task.strategy]
        return compiles_first(published, strategy, task.optimiser, task.device)

    def _task(self, part: Part, spec: str, seed: int, trial: Trial | None) -> CellTask:
        experiment = self.run.experiment
        return CellTask(
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

    def ask(self, tasks: list[CellTask]) -> Iterator[tuple[CellTask, list[pd.DataFrame | Failure]]]:
        """Send every task to every client and yield each task when its last reply has come in."""
        ahead = iter(tasks)
        replies: dict[CellTask, list[pd.DataFrame | Failure]] = {}

        def send() -> None:
            for task in islice(ahead, TASKS_IN_FLIGHT - len(replies)):
                replies[task] = []
                for client in range(len(self.post.nodes)):
                    self.post.send(task, client)

        send()
        for answers in looks(lambda: list(self.post.receive()), self.run):
            for task, client, reply in answers:
                replies[task].append(reply)
                users = partition(self.run.dataset.users, client, len(self.post.nodes))
                self.run.reporter.advance(len(users), task.strategy)
                if len(replies[task]) == len(self.post.nodes):
                    yield task, replies.pop(task)
                    send()
            if not replies:
                return


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


app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """What ``flwr run`` starts: the experiment of the run configuration, with dashes for underscores."""
    keys = {key.replace("-", "_"): value for key, value in context.run_config.items() if value != ""}
    # The federation decides on the number of clients, which changes no result.
    experiment = Experiment.of({**keys, "partitions": 1}, "run configuration")
    with Terminal() as reporter:
        run = Run.open(experiment, reporter)
        try:
            with cost_kept(run.folder):
                serve(grid, run)
                result = conclude(run)
        finally:
            run.leave()
        print(result.table(ranked=ALL in experiment.strategies))
        print(f"Run folder: {run.folder.absolute()}")
        # Flower ships Python and no HTML, so the report is left to the command line.
        print(f"To read it in a browser: fedctr report {run.folder.absolute()}")
    if result.complaint:
        raise FedctrError(result.complaint)
