"""The one exception that users see."""


class FedctrError(Exception):
    """A mistake that the user can mend: one line that says where, what and how to mend it.

    The command line prints the message without a traceback and leaves with exit code 2.
    """


def shown(value: object) -> str:
    """A value as errors show it: quoted, and cut short."""
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")
