"""``fedctr data``: which data sets there are, fetching one, what it looks like, and how to add one of your own."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fedctr.cli.options import ON_BAD_ROW, Files
from fedctr.cli.shelf import AsJson as ListAsJson
from fedctr.cli.shelf import Name as NewName
from fedctr.cli.shelf import Parent, report, show, write
from fedctr.data.reading import OnBadRow

app = typer.Typer(help="Fetch data sets and see what they look like.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A data set of 'fedctr data list'.", metavar="NAME")]
Spec = Annotated[
    str, typer.Argument(help=r"A data set, with options if it has any: synthetic\[users=5000].", metavar="NAME")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
Picture = Annotated[
    Path | None, typer.Option("--picture", help="Also save both histograms here, as .png, .svg or .pdf.")
]


@app.command("list")
def list_(as_json: ListAsJson = False) -> None:
    """List the data sets that are installed, with their options.

    Example: fedctr data list
    """
    from fedctr.data.loader import loaders

    show(loaders, as_json)


@app.command()
def get(name: Name) -> None:
    """Fetch the files of a data set, check them, and keep them in the cache.

    NAME is one of 'fedctr data list'. The official address is tried first, then its copies. The cache is the
    folder in FEDCTR_CACHE, or else your system's cache folder. Other commands fetch by themselves what they
    need: this one prepares a machine that will be offline.

    Example: fedctr data get movielens-100k
    """
    from fedctr.data.cache import files_of
    from fedctr.data.loader import loaders

    typer.echo(files_of(loaders.create(name)))


@app.command("describe")
def describe_(
    name: Spec,
    path: Files = None,
    on_bad_row: Annotated[OnBadRow, ON_BAD_ROW] = "stop",
    as_json: AsJson = False,
    picture: Picture = None,
) -> None:
    r"""Show how large a data set is and how far its users drift from the global click-through rate.

    NAME is one of 'fedctr data list', with options if it has any, as in synthetic\[users=5000].
    The rates are those of the training samples: the first 70 % of each user's, unless the data set has a protocol of
    its own.

    Example: fedctr data describe movielens-100k --picture drift.png
    """
    from fedctr.data.cache import open_dataset
    from fedctr.data.describe import describe, draw, measure_drift
    from fedctr.data.loader import own_split
    from fedctr.progress import Terminal

    with Terminal() as reporter:
        dataset = open_dataset(name, path, on_bad_row, reporter)
    rule = own_split(name)
    if picture is not None:
        draw(dataset, picture, rule)
    description = describe(dataset, rule)
    if as_json:
        typer.echo(json.dumps(asdict(description), indent=2))
    else:
        from fedctr.cli.description import show as show_description

        show_description(description, measure_drift(dataset, rule))


@app.command()
def check(name: Spec, path: Files = None) -> None:
    """Hold a data set to the contract that every data set keeps.

    Its files are read twice, and again with each of them empty or full of noise, which it has to refuse in words.
    Exit code 1 if a rule is broken.

    Example: fedctr data check my_log:MyLog --path FOLDER
    """
    from fedctr.conformance.dataset import check as findings

    report(name, lambda: findings(name, path))


@app.command()
def new(name: NewName, parent: Parent = Path()) -> None:
    """Write a package to start a data set of your own from.

    It holds the loader, a test that holds it to the contract, and the entry point by which fedctr finds it once it is
    installed. (A log as csv or Parquet needs none: the data sets csv and parquet read it.)

    Example: fedctr data new my-log
    """
    from fedctr.data.loader import loaders

    write(loaders, name, parent, f"fedctr data check {name} --path FILES")
