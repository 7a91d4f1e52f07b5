"""Pages of the documentation that stand elsewhere, or in the code: MkDocs calls ``on_files`` at every build."""

import html
import inspect
import re
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click

from fedctr.cli import app
from fedctr.cli.shelf import options_of, written
from fedctr.models.model import models
from fedctr.registry import Registry
from fedctr.strategy import strategies

ROOT = Path(__file__).parents[1]
ELSEWHERE = {
    "results.md": ROOT / "experiments" / "RESULTS.md",
    "contributing.md": ROOT / "CONTRIBUTING.md",
    "changelog.md": ROOT / "CHANGELOG.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not below ``pages/``, and the pictures that they show."""
    for address, file in ELSEWHERE.items():
        # On GitHub a link starts from where the file stands.
        text = file.read_text(encoding="utf-8").replace("](docs/pages/", "](")
        files.append(File.generated(config, address, content=text))
    pictures = [*(ROOT / "experiments" / "results").rglob("*.png"), ROOT / "experiments" / "movielens-100k.png"]
    for picture in pictures:
        address = str(picture.relative_to(ROOT / "experiments"))
        files.append(File.generated(config, address, abs_src_path=str(picture)))
    files.append(File.generated(config, "reference/command-line.md", content=command_line()))
    files.append(File.generated(config, "reference/shelf.md", content=shelf()))
    return files


def command_line() -> str:
    """Every command with its options, as ``--help`` has them."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="fedctr"), name="fedctr")
    rest = html.unescape(text).partition("\n")[2]
    rest = re.sub(r"\*\*Commands\*\*:\n\n(?:\* .*\n)+", "", rest)  # they follow, and here their help is cut short
    examples = re.sub(r"^Example: (.*(?:\n(?!\n).*)*)", _example, rest, flags=re.MULTILINE)
    return f"# Command line\n\n`fedctr --help` and `fedctr COMMAND --help` say the same.\n{_without_html(examples)}"


def shelf() -> str:
    """The models and the strategies that come with fedctr, with their options and sources."""
    return (
        "# Strategies and models\n\n"
        "Options go into brackets: `label-correction[variant=anchored]`, `din[embedding=16]`.\n\n"
        f"## Strategies\n\n{_classes(strategies)}\n"
        "Strategies compose with `+`, as in `label-correction+head-only`; what cannot go together is refused.\n\n"
        f"## Models\n\n{_classes(models)}"
    )


def _classes(registry: Registry[Any]) -> str:
    parts = []
    for name, cls in registry.classes().items():
        described = [f"`{option}`" for option in written(options_of(cls))]
        citation = getattr(cls, "citation", "")
        parts.append(
            f"### {name}\n\n{_plain(inspect.getdoc(cls) or '')}\n\n"
            + (f"Options: {', '.join(described)}\n\n" if described else "")
            + (f"Source: {citation}\n\n" if citation else "")
        )
    return "".join(parts)


def _plain(docstring: str) -> str:
    """A docstring as Markdown: its sections become lists, its roles code."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", docstring).replace("``", "`")
    text = re.sub(r"^Attributes:\n", "", text, flags=re.MULTILINE)
    return re.sub(r"^ {4}(\w+): ", r"- `\1`: ", text, flags=re.MULTILINE)


def _example(found: re.Match[str]) -> str:
    return f"```console\n$ {' '.join(found[1].split())}\n```"


def _without_html(text: str) -> str:
    """What looks like a tag outside code, such as <module>, is shown and not taken for one."""
    return re.sub(r"<(?=\w)", "&lt;", text)
