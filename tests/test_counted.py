from fedctr.counted import counted


def test_one_thing_is_singular_and_any_other_number_of_them_plural() -> None:
    assert [counted(number, "seed") for number in (0, 1, 2)] == ["0 seeds", "1 seed", "2 seeds"]
    assert [counted(number, "strategy", "strategies") for number in (1, 3)] == ["1 strategy", "3 strategies"]
