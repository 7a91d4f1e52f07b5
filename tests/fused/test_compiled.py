"""What is compiled, and by whom."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from fedctr.fused.compiled import KEPT

DOUBLED = """
from fedctr.fused.compiled import compiled, entry

@compiled
def twice(value):
    return 2 * value

@entry
def double(values):
    for place in range(len(values)):
        values[place] = twice(values[place])
"""


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
