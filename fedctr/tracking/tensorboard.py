"""TensorBoard: event files in the run folder, so that ``tensorboard --logdir runs`` shows all runs side by side."""

import shutil
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from fedctr.folder import write_whole, writing
from fedctr.tracking.record import Record

FOLDER = "tensorboard"


def show(record: Record) -> str:
    """Write what there is to show, in the place of what was written before, and say where."""
    folder = record.folder / FOLDER
    if folder.is_dir():
        with writing(folder):
            shutil.rmtree(folder)
    write_whole(folder, lambda fresh: _write(record, fresh))
    return str(folder)


def _write(record: Record, folder: Path) -> None:
    seconds = record.date.timestamp()
    with SummaryWriter(str(folder)) as writer:
        writer.add_text("headline", record.headline, walltime=seconds)
        writer.add_text("table", record.table, walltime=seconds)
        for name, curve in record.curves.items():
            for step, value in curve:
                writer.add_scalar(name, value, step, walltime=seconds)
        # In the same folder as the curves; by default it would be taken for a run of its own.
        writer.add_hparams(dict(record.settings), dict(record.figures), run_name=".")
