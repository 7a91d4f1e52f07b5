"""What is compiled, and by whom."""

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from fedctr.errors import FedctrError
from fedctr.fused.compiled import COMPILING, KEPT, kernels_folder

DOUBLED = """
import os
from pathlib import Path

if "FEDCTR_COMPILER" in os.environ:
    Path(__file__).with_name(f"compiled by {os.getpid()}").touch()

from fedctr.fused.compiled import compiled, entry

@compiled
def twice(value):
    return 2 * value

@entry
def double(values):
    for place in range(len(values)):
        values[place] = twice(values[place])
"""


def test_machine_code_is_in_the_cache_folder_unless_numba_is_told_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDCTR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "code"))
    assert kernels_folder().parent == tmp_path / "code"
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    assert kernels_folder().parent == tmp_path / "cache" / "kernels"


def test_that_it_is_compiled_only_once_is_said_only_where_it_is_kept(tmp_path: Path) -> None:
    assert COMPILING.endswith("takes about a minute, and only once") == KEPT
    (tmp_path / "file").touch()  # in which no folder can be made
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "file"), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", "from fedctr.fused.compiled import COMPILING; print(COMPILING)"]
    said = subprocess.run(command, env=settings, stdout=subprocess.PIPE, text=True, check=True).stdout
    remedy = "cannot be written; set NUMBA_CACHE_DIR to a folder that can"
    assert re.search(f"takes about a minute, in each process: {tmp_path}/file/[0-9a-f]+ {remedy}$", said)


@pytest.mark.skipif(not KEPT, reason="machine code is not kept")
def test_an_entry_is_loaded_even_by_who_needs_it_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "doubled.py").write_text(DOUBLED)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    module, values = import_module("doubled"), np.arange(3)
    try:
        module.double(values)
        assert values.tolist() == [0, 2, 4]
        assert [
            sum(found.values()) for found in (module.double.stats.cache_hits, module.double.stats.cache_misses)
        ] == [1, 0]
        assert not module.twice.signatures  # nothing was compiled here
    finally:
        del sys.modules["doubled"]


@pytest.mark.skipif(not KEPT, reason="machine code is not kept")
def test_of_several_who_need_an_entry_at_once_one_has_it_compiled_and_the_others_wait(tmp_path: Path) -> None:
    (tmp_path / "doubled.py").write_text(DOUBLED)
    use = "import numpy, doubled; values = numpy.arange(3); doubled.double(values); print(values)"
    places = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    command, settings = [sys.executable, "-c", use], {**os.environ, **places}
    begun = [subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [each.communicate()[0] for each in begun] == ["[0 2 4]\n"] * 3
    assert len(list(tmp_path.glob("compiled by *"))) == 1


@pytest.mark.skipif(not KEPT, reason="machine code is not kept")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raise OSError(28, 'No space left on device')", r"OSError: \[Errno 28\] No space left on device"),
        ("os.kill(os.getpid(), 9)", "its process was killed by SIGKILL"),
    ],
)
def test_why_an_entry_cannot_be_compiled_is_told_in_a_line(
    fault: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "doubled.py").write_text(
        DOUBLED.replace("import Path\n", f"import Path\n\nif 'FEDCTR_COMPILER' in os.environ:\n    {fault}\n")
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    try:
        with pytest.raises(FedctrError, match=rf"^[^\n]*: the engine cannot be compiled there \({reason}\); it takes"):
            import_module("doubled").double(np.arange(3))
    finally:
        del sys.modules["doubled"]
