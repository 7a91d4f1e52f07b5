import inspect
import re
from collections.abc import Callable

import pytest

from fedctr.cli.bench import bench
from fedctr.cli.train import train
from fedctr.config import Experiment
from fedctr.federated.settings import Training
from fedctr.settings import Settings


@pytest.mark.parametrize(("command", "settings"), [(bench, Experiment), (train, Training)])
def test_the_help_names_every_key_of_a_file_that_is_no_option(
    command: Callable[..., None], settings: type[Settings]
) -> None:
    named = re.search(r"A file may also have (.*?) and the\s+tables (.*?)\.", inspect.getdoc(command) or "", re.DOTALL)
    assert named
    keys, tables = (set(re.findall(r"\w+", part)) - {"and"} for part in named.groups())
    assert keys | tables == settings.model_fields.keys() - inspect.signature(command).parameters.keys()
    assert tables == settings.tables.keys()
