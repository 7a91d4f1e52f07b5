"""The site builds without a warning, and its reference is complete."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.application import python_path
from tests.docs.page import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="pip install -e .[docs]")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file"]
    done = subprocess.run(
        [*build, str(ROOT / "docs" / "mkdocs.yml"), "--site-dir", str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(python_path())},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_in_the_navigation(site: Path) -> None:
    sources = (ROOT / "docs" / "pages").rglob("*")
    pages = {source.stem for source in sources if source.suffix in (".md", ".ipynb")}
    assert pages <= {page.stem for page in site.rglob("*.html")}


def test_the_reference_has_every_command_strategy_and_hook(site: Path) -> None:
    commands = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    for name in ("fedctr bench", "fedctr train", "fedctr data describe", "fedctr strategies check", "--published"):
        assert name in commands
    shelf = (site / "reference" / "shelf.html").read_text(encoding="utf-8")
    for name in ("label-correction", "wrong-direction", "dcn-v2", "arXiv 2211.01163"):
        assert name in shelf
    python = (site / "reference" / "python.html").read_text(encoding="utf-8")
    for name in ("ClientStrategy", "penalty", "one_sided", "learning_rates"):
        assert name in python


def test_a_page_asks_the_network_for_nothing(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r'<(script|img)[^>]* src="http|<link[^>]* rel="stylesheet"[^>]* href="http', text), page
