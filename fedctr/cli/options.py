"""Options that several commands have, in the same words."""

from pathlib import Path
from typing import Annotated

import typer

File = Annotated[
    Path | None, typer.Argument(help="A TOML file, which can say more than the options below; these override it.")
]
DataSet = Annotated[str | None, typer.Option(help="Data set, such as movielens-100k or synthetic\\[users=500].")]
Files = Annotated[
    Path | None, typer.Option("--path", help="Its official files, if you have them: a folder or an archive.")
]
ON_BAD_ROW = typer.Option(
    "--on-bad-row", help="stop at the first malformed row of the files, or skip such rows and count them."
)
BadRows = Annotated[str | None, ON_BAD_ROW]
Backend = Annotated[
    str | None, typer.Option(help="ray: clients in parallel processes. inline: in this process, to debug.")
]
RayAddress = Annotated[str | None, typer.Option(help="HOST:PORT of an existing Ray cluster, by default $RAY_ADDRESS.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing while it runs, but for what fails.")]
