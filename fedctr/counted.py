"""How many of a thing there are, in words."""


def counted(number: int, thing: str, things: str = "") -> str:
    """A number and the thing in singular or plural, which is with an s behind unless it is given."""
    return f"{number} {thing if number == 1 else things or thing + 's'}"
