"""The error that entry points print as one line."""


class UserError(Exception):
    """Something the user can mend: its message names it, its value and the remedy."""
