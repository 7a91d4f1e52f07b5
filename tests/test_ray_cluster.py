"""A cluster of three Ray nodes on this machine: a head that computes nothing, and two nodes with a worker each."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from fedctr.benchmark import bench
from fedctr.summary import Result
from tests.application import FEDCTR, experiment, write_toml

pytestmark = [
    pytest.mark.usefixtures("small_cache"),
    pytest.mark.filterwarnings("ignore:unclosed file .*/dev/null:ResourceWarning"),  # Ray's
]

# Runs experiment.toml and prints, for each seed, how many messages held the weights.
COUNT = """
import sys
from pathlib import Path
from fedctr import Experiment, bench, post

pack, sent = post.pack_task, [0, 0]

def counting(task, digest, published=None):
    sent[task.seed] += published is not None
    return pack(task, digest, published)

post.pack_task = counting
bench(Experiment.of(Experiment.read(Path("experiment.toml")) | {"ray_address": sys.argv[1]}))
print(*sent)
"""

# A strategy that leaves the process id of the first node it runs on, and then waits for that node's end; and notes its
# workers and their threads.
WAITS = """
import os, time
from pathlib import Path
import torch
from fedctr import ClientStrategy

class Waits(ClientStrategy):
    name = "waits"

    def targets(self, local, published):
        with Path(__file__).with_name("workers").open("a") as file:
            file.write(f"{os.getpid()} {torch.get_num_threads()}\\n")
        try:
            with Path(__file__).with_name("node").open("x") as file:
                file.write(f"{os.getppid()}\\n")
        except FileExistsError:
            return local.labels
        time.sleep(100)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            started.add_node(num_cpus=1)
        yield started
    finally:
        started.shutdown()  # type: ignore[no-untyped-call]


def raylets(cluster: Cluster) -> list[int]:
    """The process ids of the nodes with a worker."""
    return [node.all_processes["raylet"][0].process.pid for node in cluster.worker_nodes]


@pytest.mark.exhaustive
def test_a_cluster_gives_the_same_bits_and_gets_the_weights_at_most_once_for_each_worker(
    cluster: Cluster, reference: Result, tmp_path: Path
) -> None:
    write_toml(tmp_path / "experiment.toml", backend="ray", partitions=8)
    ended = subprocess.run(
        [sys.executable, "-c", COUNT, cluster.address], cwd=tmp_path, capture_output=True, text=True, timeout=400
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out" / "users.parquet").read_bytes() == (reference.folder / "users.parquet").read_bytes()
    # 40 tasks for each seed, which any worker may take.
    assert all(1 <= int(count) <= 2 for count in ended.stdout.split()), ended.stdout


def test_a_node_that_is_killed_takes_no_result_along(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "waiting.py").write_text(WAITS)
    strategies = ("no-fine-tuning", "waiting:Waits", "label-correction")
    toml = write_toml(tmp_path / "experiment.toml", strategies=strategies, seeds=1, backend="ray", partitions=4)
    with (tmp_path / "said").open("w") as said:
        arguments = [FEDCTR, "bench", toml.name, "--ray-address", cluster.address]
        run = subprocess.Popen(arguments, cwd=tmp_path, stdout=said, stderr=said)
        try:
            node = first_line(tmp_path / "node", run)
            assert node in raylets(cluster)
            kill(node)
            assert run.wait(timeout=300) == 0, (tmp_path / "said").read_text()
        finally:
            run.kill()
    assert sum(alive(each) for each in raylets(cluster)) == 1
    workers = {line.split()[0]: line.split()[1] for line in (tmp_path / "workers").read_text().splitlines()}
    assert list(workers.values()) == ["1", "1"]  # both had work, each on one thread
    sys.path.insert(0, str(tmp_path))
    try:
        alone = bench(experiment(tmp_path / "inline", strategies=strategies, seeds=1))
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("waiting", None)
    assert (tmp_path / "out" / "users.parquet").read_bytes() == (alone.folder / "users.parquet").read_bytes()


def first_line(file: Path, run: subprocess.Popen[bytes]) -> int:
    """The number in a file, once it is written: on a busy machine without compiled kernels that takes minutes."""
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline and run.poll() is None:
        if file.exists() and file.read_text().endswith("\n"):
            return int(file.read_text())
        time.sleep(0.05)
    pytest.fail(f"{file.name} was not written; the run's exit code is {run.poll()}")


def kill(raylet: int) -> None:
    """Kill a node with its workers, as a power cut does."""
    children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
    for process in (raylet, *map(int, children)):
        os.kill(process, signal.SIGKILL)


def alive(process: int) -> bool:
    """Whether a process has not been killed; one that nobody has waited for yet is a zombie."""
    status = Path(f"/proc/{process}/status")
    return status.exists() and "State:\tZ" not in status.read_text()
