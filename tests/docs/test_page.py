import pytest

from tests.docs.page import Command, File, Program, steps_of


def test_fences_are_steps_in_their_order_and_titled_ones_are_files() -> None:
    page = (
        '```toml title="a.toml"\nx = 1\n```\n\nSo:\n\n```sh\ncat a.toml \\\n    b.toml  # both\n\nls\n```\n'
        "```toml\nx = 2\n```\n```python\nprint()\n```\n"
    )
    steps = list(steps_of(page))
    assert steps == [
        File("a.toml", "x = 1\n"),
        Command("cat a.toml b.toml  # both"),
        Command("ls"),
        Program("print()\n"),
    ]
    assert Command("cat a.toml b.toml  # both").words == ["cat", "a.toml", "b.toml"]


def test_what_is_not_run_needs_a_reason() -> None:
    page = "<!-- not run: takes hours -->\n```sh\nmake all\n```\n"
    assert list(steps_of(page)) == []
    assert list(steps_of(page, also_not_run=True)) == [Command("make all")]
    with pytest.raises(ValueError, match="no reason"):
        list(steps_of("<!-- not run -->\n```sh\nmake all\n```\n"))


def test_a_command_that_should_fail_needs_a_message() -> None:
    page = "<!-- fails -->\n```sh\nfedctr bench\n```\n"
    assert list(steps_of(f"{page}```text\nfedctr: no\n```\n")) == [Command("fedctr bench", "fedctr: no")]
    with pytest.raises(ValueError, match="no message"):
        list(steps_of(f"{page}\nBecause.\n"))
