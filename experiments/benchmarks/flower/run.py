"""Flower on Ray, as its quickstart has it: a node for each user, and a message to each that carries the model.

python run.py WORKLOAD_FOLDER RESULT_FOLDER
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

# A cluster of its own, though another may be running here.
os.environ |= {"RAY_ADDRESS": "local", "FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

sys.path.append(str(Path(__file__).resolve().parents[1]))
from client_app import app as client_app
from plain_models import published_model
from work import WARM_UP_USERS, Work, write_result

CORES = 2
PATIENCE_SECONDS = 300


def main(workload: Path, result: Path) -> None:
    """Ask every node once, after asking a few of them so that the workers are warm."""
    started = time.perf_counter()
    work = Work.read(workload)
    content = RecordDict(
        {
            "arrays": ArrayRecord(published_model(work).state_dict()),
            "config": ConfigRecord({"workload": str(workload.resolve())}),
        }
    )
    server_app = ServerApp()

    @server_app.main()
    def serve(grid: Grid, context: Context) -> None:
        while len(nodes := list(grid.get_node_ids())) < work.users:
            if time.perf_counter() - started > PATIENCE_SECONDS:
                raise RuntimeError(f"{len(nodes)} of {work.users} nodes came up")
            time.sleep(0.1)

        def ask(count: int) -> list[Message]:
            messages = [Message(content, node, MessageType.EVALUATE) for node in nodes[:count]]
            return list(grid.send_and_receive(messages, timeout=PATIENCE_SECONDS))

        ask(WARM_UP_USERS)
        begun = time.perf_counter()
        replies = ask(work.users)
        seconds = time.perf_counter() - begun
        metrics = [reply.content.metric_records["metrics"] for reply in replies]
        found = {each["user"]: each["auc"] for each in metrics}
        aucs = np.array([found[user] for user in range(work.users)], dtype=np.float64)
        packages = ("torch", "numpy", "flwr", "ray")
        write_result(result, aucs, seconds, CORES, packages, startup_seconds=begun - started)

    run_simulation(
        server_app,
        client_app,
        num_supernodes=work.users,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": {"num_cpus": CORES}},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
