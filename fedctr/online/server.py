"""The Flower server of an A/B test: a day is a round."""

import json
import time

from flwr.app import Message
from flwr.serverapp import Grid

from fedctr.cloud import train
from fedctr.composition import strategy_of
from fedctr.engines import compiles_first
from fedctr.errors import FedctrError
from fedctr.fused.compiled import COMPILING
from fedctr.interruption import after_each_epoch
from fedctr.messages import Failure
from fedctr.online.analysis import figures
from fedctr.online.day import Day
from fedctr.online.log import for_cloud
from fedctr.online.messages import RANK, DayTask, pack_day_task, unpack_day
from fedctr.online.run import OnlineRun
from fedctr.post import find_clients, one_line, replies
from fedctr.published import Published
from fedctr.threads import single_thread


def serve(grid: Grid, run: OnlineRun, until: int) -> None:
    """Simulate every day before ``until`` that is not finished yet.

    Args:
        grid: Flower's way to the clients.
        run: the A/B test and its folder.
        until: the day on which to stop: the first of the test, or the one after its last.

    Raises:
        FedctrError: when the clients do not come up, one of them fails, or the model cannot be trained.
        StoppedError: when ``run.stop`` was set.
    """
    nodes = find_clients(grid, run)
    while run.next_day < until:
        stretch = run.settings.stretch(run.next_day)
        before = run.settings.published_on(stretch.start)
        published = None if before is None else run.published_before(before) or _publish(run, before)
        name = "warm-up" if published is None else "before the test" if stretch.start < 0 else "test"
        run.reporter.phase(f"{name}: days {stretch.start} to {stretch.stop - 1}", len(stretch))
        if published is not None and _compiles_first(run, published, stretch.start):
            run.reporter.say(COMPILING)
        for day in stretch:
            begun = time.monotonic()
            parts = _ask(grid, nodes, run, day, published)
            run.keep_day(day, parts)
            arrived = sum(len(part.visits["user"]) for _, part in parts)
            clicks = sum(int(part.visits["clicks"].sum()) for _, part in parts)
            told = f"day {day}: {arrived:,} users came and clicked {clicks:,} times"
            run.reporter.advance(1, told)
            run.log(f"{told}, {time.monotonic() - begun:.1f} s")
            if day >= 0:
                _tell_standings(run)


def _compiles_first(run: OnlineRun, published: Published, day: int) -> bool:
    """Whether the clients, who cannot say so, are going to; those on other machines are not known."""
    settings = run.settings
    specs = {settings.on_device(arm, day) for arm in settings.arms}
    return any(compiles_first(published, strategy_of(spec), settings.optimiser, "cpu") for spec in specs)


def _tell_standings(run: OnlineRun) -> None:
    """Fill in what each arm has come to by now."""
    daily = run.daily(before=run.next_day)
    for arm in run.settings.arms:
        found = figures(daily, arm.name)
        if found["visits"]:
            cells = {"users": f"{found['users']:,}", "clicks": f"{found['clicks']:,}", "CTR": f"{found['ctr']:.4f}"}
            run.reporter.row(arm.name, cells)


def _publish(run: OnlineRun, day: int) -> Published:
    """Have the cloud train on all logs, and publish the model before a day."""
    settings = run.settings
    run.reporter.phase(f"cloud: {settings.model}, before day {day}", settings.cloud.epochs)
    log = run.samples()
    if not log.samples:
        raise FedctrError(f"world: nobody has come before day {day}; raise arrival or users")
    with single_thread():
        published, facts = train(
            settings.model, log, for_cloud(log), settings.cloud, settings.seed, after_each_epoch(run)
        )
    run.reporter.finish()
    run.keep_published_before(day, published, facts)
    return published


def _ask(grid: Grid, nodes: list[int], run: OnlineRun, day: int, published: Published | None) -> list[tuple[int, Day]]:
    """Have every client simulate a day of every arm; what they reply, each with its arm.

    Raises:
        FedctrError: when one of them fails: without its users the test would be another one.
    """
    settings, log = run.settings, run.keep_samples()
    text = json.dumps(settings.science())
    sent: dict[str, int] = {}
    arms: dict[str, int] = {}
    for arm in range(len(settings.arms)):
        task = DayTask(text, arm, day, str(run.truth_file), str(log), str(run.stop_file))
        content = pack_day_task(task, published)
        for client, node in enumerate(nodes):
            (message_id,) = grid.push_messages([Message(content, node, RANK)])
            sent[message_id], arms[message_id] = client, arm
    parts: list[tuple[int, Day]] = []
    for client, message in replies(grid, run, sent):
        arm = arms[message.metadata.reply_to_message_id]
        reply: Day | Failure
        if message.has_error():
            reply = Failure(client, settings.arms[arm].strategy, "", one_line(message.error.reason))
        else:
            reply = unpack_day(message.content)
        if isinstance(reply, Failure):
            run.log(f"day {day}: {reply}")
            run.stop_file.touch()
            raise FedctrError(f"day {day}: {reply}; the days before are kept in {run.folder}")
        parts.append((arm, reply))
    return parts
