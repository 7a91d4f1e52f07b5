"""A reader who follows all pages in one clone never finds another run in the folder that a command names."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.docs.page import PAGES, ROOT, Command, File, Program, Step, steps_of

_OPTION = re.compile(r"--out (\S+)")
_KEY = re.compile(r"\bout\s*=\s*\"([^\"]+)\"")  # of a file, of Python, of flwr run
_BEFOREHAND = " --plan"  # the part of a test that comes first, in the same folder


def made_by(step: Step) -> Iterator[tuple[str, str]]:
    """The folders that a step makes runs in, each with everything that settles which run it is."""
    if isinstance(step, File | Program):
        yield from ((folder, step.text) for folder in _KEY.findall(step.text))
    elif step.fails_with is None and re.match("fedctr (bench|train|abtest) |flwr run ", step.line):
        line = step.line.partition(" #")[0].replace(_BEFOREHAND, "")
        for pattern in (_OPTION, _KEY):
            yield from ((folder, " ".join(pattern.sub("", line).split())) for folder in pattern.findall(line))


def all_steps() -> Iterator[Step]:
    """What README, pages, notebooks and the experiments of the repository have a reader do."""
    for page in PAGES:
        yield from steps_of(page.read_text(encoding="utf-8"), also_not_run=True)
    for notebook in (ROOT / "docs" / "pages").rglob("*.ipynb"):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        yield from (Program("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code")
    for file in (ROOT / "experiments").glob("*.toml"):
        yield File(str(file.relative_to(ROOT)), file.read_text(encoding="utf-8"))


def test_no_folder_is_named_for_two_runs() -> None:
    runs: dict[str, set[str]] = defaultdict(set)
    for step in all_steps():
        for folder, settings in made_by(step):
            runs[folder].add(settings)
    one_of_each_source = {"runs/first", "runs/quickstart", "runs/notebook", "runs/federated"}
    assert one_of_each_source <= set(runs)
    assert {folder: settings for folder, settings in runs.items() if len(settings) > 1} == {}


@pytest.mark.parametrize(
    ("step", "found"),
    [
        (Command("fedctr bench --model lr --out runs/a  # seconds"), [("runs/a", "fedctr bench --model lr")]),
        (Command("fedctr abtest a.toml --plan --out runs/a"), [("runs/a", "fedctr abtest a.toml")]),
        (Command("fedctr bench --seeds 2 --out runs/a", "holds another run"), []),
        (Command("fedctr report runs/a --out a.html"), []),
        (Command("flwr run . --run-config 'out=\"/a\"'"), [("/a", "flwr run . --run-config ''")]),
        (File("a.toml", 'seeds = 1\nout = "runs/a"\n'), [("runs/a", 'seeds = 1\nout = "runs/a"\n')]),
        (Program('bench(Experiment(seeds=1, out="runs/a"))'), [("runs/a", 'bench(Experiment(seeds=1, out="runs/a"))')]),
    ],
)
def test_what_makes_a_run_and_where(step: Step, found: list[tuple[str, str]]) -> None:
    assert list(made_by(step)) == found
