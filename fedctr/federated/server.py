"""The Flower server of federated training: rounds of local steps at the clients, aggregated by Flower's strategies."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Message, MessageType
from flwr.serverapp import Grid

from fedctr.cloud import evaluate, initial_model
from fedctr.data.partition import partition
from fedctr.errors import FedctrError
from fedctr.features import Features
from fedctr.federated.aggregation import Aggregation, Arrays
from fedctr.federated.checkpoint import Checkpoint, State
from fedctr.federated.messages import Contribution, RoundTask, pack_round, unit, unpack_contribution
from fedctr.federated.participation import Draw
from fedctr.federated.personal import PersonalFile
from fedctr.federated.run import TrainingRun
from fedctr.federated.settings import Training
from fedctr.federated.submodels import mean_change
from fedctr.folder import write_whole
from fedctr.messages import Failure, digest
from fedctr.post import find_clients, one_line, replies
from fedctr.protocol import falls_short
from fedctr.published import Published
from fedctr.randomness import words
from fedctr.threads import single_thread

Replies = dict[int, Contribution]


def serve(grid: Grid, run: TrainingRun) -> None:
    """Do all rounds of every seed that are not done yet.

    Args:
        grid: Flower's way to the clients.
        run: the training and its folder. Failures at clients are collected in ``run.failures``.

    Raises:
        FedctrError: when the clients do not come up, all of them fail, or the model diverges.
        StoppedError: when ``run.stop`` was set.
    """
    left = [seed for seed in run.seeds if not run.kept_published(seed)]
    nodes = find_clients(grid, run) if left else []
    for seed in left:
        with single_thread():
            Rounds.of(grid, nodes, run, seed).run_all()


@dataclass(eq=False)
class Rounds:
    """The rounds of one seed.

    Attributes:
        grid: Flower's way to the clients.
        nodes: the node of each client.
        run: the training and its folder.
        seed: which one.
        features: of all users, to evaluate on.
        aggregation: makes a new model of a round.
        personal: what the devices keep; None where all parameters are shared.
    """

    grid: Grid
    nodes: list[int]
    run: TrainingRun
    seed: int
    features: Features
    aggregation: Aggregation
    personal: PersonalFile | None

    @classmethod
    def of(cls, grid: Grid, nodes: list[int], run: TrainingRun, seed: int) -> "Rounds":
        """Get ready."""
        model = initial_model(run.training.model, run.dataset.schema, seed)
        features = Features(run.dataset, run.parts, range(run.dataset.users), model.history_length)
        personal = PersonalFile.of(run.personal_file(seed), run.personal, model) if run.personal else None
        return cls(grid, nodes, run, seed, features, run.aggregation(), personal)

    def run_all(self) -> None:
        """Do the rounds that are not done yet, and publish the best model."""
        run, rounds = self.run, self.run.training.rounds
        checkpoint = self._go_on()
        run.reporter.phase(f"federated: {run.training.model}, seed {self.seed}", rounds - checkpoint.number, "rounds")
        while checkpoint.number < rounds:
            begun = time.monotonic()
            checkpoint = self._round(checkpoint)
            self._keep(checkpoint)
            row = checkpoint.curve[-1]
            run.reporter.advance()
            run.reporter.row(f"seed {self.seed}", _standing(checkpoint, run.training))
            run.log(
                f"seed {self.seed}, round {checkpoint.number} of {rounds}, validation log loss {row['log_loss']:.4f}, "
                f"AUC {row['auc']:.4f}, {row['users']:,} users, {time.monotonic() - begun:.1f} s"
            )
        run.reporter.finish()
        run.publish(checkpoint, self.seed)

    def _go_on(self) -> Checkpoint:
        """The last checkpoint, or a first one of the untrained model."""
        checkpoint = self.run.last_checkpoint(self.seed)
        if checkpoint:
            self.aggregation.restore(checkpoint.moments)
            if self.personal:
                self.personal.take_in(checkpoint.number, checkpoint.replied)
            return checkpoint
        state = initial_model(self.run.training.model, self.run.dataset.schema, self.seed).state_dict()
        personal = self.personal
        if personal:
            write_whole(personal.file, lambda file: personal.begin(self.run.dataset.users, state, file))
            personal.forget()
        checkpoint = Checkpoint(0, state, {}, {}, (self._measured(state, 0),))
        self.run.keep_checkpoint(checkpoint, self.seed)
        return checkpoint

    def _keep(self, checkpoint: Checkpoint) -> None:
        self.run.keep_checkpoint(checkpoint, self.seed)
        if self.personal:
            self.personal.take_in(checkpoint.number, checkpoint.replied)

    def _round(self, before: Checkpoint) -> Checkpoint:
        number = before.number + 1
        draw = self.run.training.participation.draw(self.seed, number, self.run.parts)
        old = {name: value.numpy().astype(np.float64) for name, value in before.model.items()}
        shared = {name: value for name, value in old.items() if name not in self.run.personal}
        config = self.aggregation.configure(number, shared, self.grid)
        asked = [client for client, users in enumerate(self._partitions()) if draw.takes_part[users].any()]
        came = self._ask(number, asked, config, before.model)
        new = self._merged(number, old, came, unit(draw.sampled))
        state = {name: value.new_tensor(new[name]) for name, value in before.model.items()}
        row = self._measured(state, number, draw, came, lost=len(asked) - len(came))
        by = self.run.training.best_by
        better = all(falls_short(row, by) < falls_short(each, by) for each in before.curve[1:])
        return Checkpoint(
            number,
            state,
            state if better else before.best,
            self.aggregation.state(),
            (*before.curve, row),
            tuple(sorted(came)),
        )

    def _merged(self, number: int, old: Arrays, came: Replies, unit: float) -> Arrays:
        """The new model, float64: shared parameters by the aggregation, of personal ones the mean over all users."""
        groups = [list(came.values())] if self.aggregation.by_user else [[came[each]] for each in sorted(came)]
        groups = [group for group in groups if sum(each.users for each in group)]
        if not groups:
            return old
        added = [Contribution.added(group) for group in groups]
        means = [
            (
                {
                    name: old[name] + mean_change(total * unit, group.users, group.holders.get(name))
                    for name, total in group.sums.items()
                    if name not in self.run.personal
                },
                group.users,
            )
            for group in added
        ]
        noise_seed = int(words(self.seed, f"round {number} noise", np.array([0]), 1)[0, 0] >> np.uint64(32))
        new = self.aggregation.aggregate(number, means, noise_seed)
        for name in self.run.personal:
            everyone = Contribution.added(added).sums[name]
            new[name] = old[name] + mean_change(everyone * unit, self.run.dataset.users)
        return new

    def _partitions(self) -> Iterator[slice]:
        """The users of every client."""
        for client in range(len(self.nodes)):
            users = partition(self.run.dataset.users, client, len(self.nodes))
            yield slice(users.start, users.stop)

    def _ask(self, number: int, asked: list[int], config: ConfigRecord, state: State) -> Replies:
        """Have some clients do their part in a round.

        Raises:
            FedctrError: when none does.
        """
        published = self._published(state)
        content = pack_round(self._task(), config, digest(published), published)
        sent: dict[str, int] = {}
        for client in asked:
            (message_id,) = self.grid.push_messages([Message(content, self.nodes[client], MessageType.TRAIN)])
            sent[message_id] = client
        contributions: Replies = {}
        failures: list[Failure] = []
        seconds = self.run.training.round_seconds
        for client, message in replies(self.grid, self.run, sent, seconds):
            reply = self._read(message, client)
            if isinstance(reply, Failure):
                failures.append(reply)
            else:
                contributions[client] = reply
        failures += [self._failure(client, f"no reply within {seconds:g} s") for client in sent.values()]
        for failure in sorted(failures, key=lambda each: each.client):
            self.run.log(f"seed {self.seed}, round {number}: {failure}")
            self.run.reporter.say(f"round {number} goes on without a client: {failure}")
            self.run.failures.append(failure)
        if failures and not contributions:
            raise FedctrError(f"round {number}: {self.run.failures[-1]}; no client was left")
        return contributions

    def _read(self, message: Message, client: int) -> Contribution | Failure:
        if message.has_error():
            return self._failure(client, one_line(message.error.reason))
        return unpack_contribution(message.content)

    def _failure(self, client: int, error: str) -> Failure:
        return Failure(client, self.run.training.strategy, "", error)

    def _task(self) -> RoundTask:
        training = self.run.training
        return RoundTask(
            dataset=str(self.run.dataset.folder),
            rule=training.rule,
            strategy=training.strategy,
            seed=self.seed,
            learning_rate=training.learning_rate,
            epochs=training.epochs,
            batch_size=training.batch_size,
            participation=training.participation,
            averaging=training.averaging,
            personal=self.run.personal,
            alternate=training.alternate,
            personal_file=str(self.run.personal_file(self.seed)),
            stop_file=str(self.run.stop_file),
        )

    def _published(self, state: State) -> Published:
        run = self.run
        return Published.from_state(run.training.model, run.dataset.schema, run.global_ctr, dict(state))

    def _measured(
        self, state: State, number: int, draw: Draw | None = None, came: Replies | None = None, lost: int = 0
    ) -> dict[str, Any]:
        """A row of the curve."""
        found = evaluate(self._published(state).model, self.features, "validation")
        if found is None:
            raise FedctrError(
                f"model {self.run.training.model}: training diverged in round {number}; lower learning_rate"
            )
        contributions = (came or {}).values()
        return {
            "round": number,
            "users": sum(each.users for each in contributions),
            "sampled": draw.sampled if draw else 0,
            "dropped": draw.sampled - int(draw.takes_part.sum()) if draw else 0,
            "slow": int(draw.slow.sum()) if draw else 0,
            "diverged": sum(each.diverged for each in contributions),
            "clients_lost": lost,
            **found,
        }


def _standing(checkpoint: Checkpoint, training: Training) -> dict[str, str]:
    """How far a seed is, in words."""
    last, best = checkpoint.curve[-1], checkpoint.best_row(training.best_by)
    return {
        "round": f"{checkpoint.number} of {training.rounds}",
        "validation log loss": f"{last['log_loss']:.4f}",
        "AUC": f"{last['auc']:.4f}",
        "best so far": f"round {best['round']}, {abs(falls_short(best, training.best_by)):.4f}",
    }
