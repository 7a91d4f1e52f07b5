"""The one exception that users see."""


class FedctrError(Exception):
    """A mistake that the user can mend: one line that says where, what and how to mend it.

    The command line prints the message without a traceback and leaves with exit code 2.
    """
