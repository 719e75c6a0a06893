"""The check that sections of the config state their conditions with."""


def require(condition: bool, message: str) -> None:
    """Raise a `ValueError` with `message` unless `condition` holds."""
    if not condition:
        raise ValueError(message)
