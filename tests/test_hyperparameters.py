import dataclasses
from typing import get_type_hints

import pytest

from fedctr.errors import FedctrError
from fedctr.strategy import strategies

NUMBERS = [
    (name, field.name)
    for name, strategy in strategies.classes().items()
    for field in dataclasses.fields(strategy)  # type: ignore[arg-type]
    if get_type_hints(strategy)[field.name] in (int, float)
]


@pytest.mark.parametrize(("name", "option"), NUMBERS)
def test_true_is_no_number_though_python_counts_with_it(name: str, option: str) -> None:
    with pytest.raises(FedctrError) as caught:
        strategies.create(f"{name}[{option}=true]")
    assert str(caught.value).startswith(f"strategy '{name}[{option}=true]': {option} True must be a")
    assert "\n" not in str(caught.value)
