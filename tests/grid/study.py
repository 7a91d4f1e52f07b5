"""A small grid for the tests: two data sets with two models, in seconds."""

from pathlib import Path

STUDY = """
strategies = ["no-fine-tuning", "fine-tuning", "label-correction"]
seeds = 2
partitions = 2
backend = "inline"
learning_rates = [0.1]
epochs = [1]
out = "out"
[cloud]
epochs = 1
[axes]
dataset = ["synthetic[users=40]", "synthetic[users=50]"]
model = ["lr", "ncf[embedding=4]"]
"""
TABLES = ("table.txt", "table.md", "table.tex", "table.csv")


def write_study(folder: Path, text: str = STUDY) -> Path:
    """The grid as a file, to be run in its folder."""
    file = folder / "study.toml"
    file.write_text(text)
    return file


def tables(out: Path) -> dict[str, bytes]:
    """The four tables of a grid, byte by byte."""
    return {name: (out / name).read_bytes() for name in TABLES}
