"""What ``fedctr strategies``, ``fedctr models`` and ``fedctr data`` have in common: listing, checking, a new one."""

import inspect
import json
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fedctr.registry import Registry

if TYPE_CHECKING:
    from fedctr.conformance.finding import Finding

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")]
Name = Annotated[str, typer.Argument(help="In lower case, with hyphens: my-own.", metavar="NAME")]
Parent = Annotated[Path, typer.Option("--in", help="Where the package's folder is created.")]


def show(registry: Registry[Any], as_json: bool) -> None:
    """Print what is installed: name, description, sources, options with their defaults, and who brings it."""
    found = {name: _describe(cls, package) for name, (cls, package) in registry.listed().items()}
    if as_json:
        typer.echo(json.dumps([{"name": name, **facts} for name, facts in found.items()], indent=1, default=str))
        return
    table = Table(box=SIMPLE_HEAD)
    table.add_column(registry.kind, no_wrap=True)
    table.add_column("what it is")
    table.add_column("options", no_wrap=True)
    table.add_column("from", no_wrap=True)
    for name, facts in found.items():
        options = "\n".join(written(facts["options"]))
        about = "\n".join(text for text in (facts["description"], facts["citation"], facts["home"]) if text)
        table.add_row(*(escape(text) for text in (name, about, options, facts["package"])))
    Console().print(table)


def report(spec: str, findings: Callable[[], Iterable["Finding"]]) -> None:
    """Print what a check finds, rule by rule, and leave with exit code 1 if a rule is broken."""
    broken, out = 0, sys.stdout
    # What a stranger's code prints must not get between the findings.
    with redirect_stdout(sys.stderr):
        for finding in findings():
            typer.echo(f"{'broken' if finding.fault else 'kept':6}  {finding.rule}", out)
            if finding.fault:
                typer.echo(f"{'':8}{finding.fault}", out)
                broken += 1
    rules = "rule" if broken == 1 else "rules"
    typer.echo(f"{spec}: {f'{broken} {rules} broken' if broken else 'keeps the contract'}")
    raise typer.Exit(1 if broken else 0)


def write(registry: Registry[Any], name: str, parent: Path, check: str) -> None:
    """Write a package to start from, and say what to do next: ``check`` is the command for its contract."""
    from fedctr.scaffold import scaffold

    folder = scaffold(registry, name, parent)
    typer.echo(f"Wrote {folder}. Next: pip install -e {folder}; {check}")


def options_of(cls: type) -> dict[str, Any]:
    """Options and their defaults, None for one that must be given."""
    # A model is given the schema by position, which is no option.
    options = [option for option in inspect.signature(cls).parameters.values() if option.name != "schema"]
    return {option.name: None if option.default is option.empty else option.default for option in options}


def written(options: dict[str, Any]) -> list[str]:
    """Options with their defaults as they are written in brackets."""
    return [name if default is None else f"{name}={_toml(default)}" for name, default in options.items()]


def _describe(cls: type, package: str) -> dict[str, Any]:
    return {
        "description": (inspect.getdoc(cls) or "").split("\n")[0],
        "options": options_of(cls),
        "citation": getattr(cls, "citation", ""),
        "home": getattr(cls, "home", ""),
        "package": package,
    }


def _toml(value: object) -> str:
    """A default as it is written in brackets."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(map(_toml, value))}]" if isinstance(value, tuple) else str(value)
