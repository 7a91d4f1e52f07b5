"""The notebook of the documentation runs from top to bottom."""

import os
import sys
from pathlib import Path

import pytest

from tests.application import python_path
from tests.docs.page import ROOT

NOTEBOOK = ROOT / "docs" / "pages" / "tutorials" / "notebook.ipynb"


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("default")  # those of Jupyter's own packages are not ours to mend
def test_the_notebook_runs_and_shows_its_tables(
    small_cache: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ipykernel", reason="pip install -e .[docs]")
    nbclient = pytest.importorskip("nbclient", reason="pip install -e .[docs]")
    nbformat = pytest.importorskip("nbformat", reason="pip install -e .[docs]")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(python_path()))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(tmp_path)}})
    # The kernel is this Python, whatever kernels the machine has.
    client.create_kernel_manager().kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "my_strategy:Softer[weight=0.3]" in printed
    assert any("image/png" in output.data for output in outputs if output.output_type == "display_data")
    assert {file.name for file in (tmp_path / "runs").iterdir()} == {"notebook", "softer"}
