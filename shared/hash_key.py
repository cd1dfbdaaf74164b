"""The secret under which ids are made. It never changes: another key would make every touchpoint look new."""

from functools import cache

from shared.config import setting


@cache
def hash_key() -> bytes:
    """The stack's generated secret, read once a process."""
    from aws_lambda_powertools.utilities.parameters import get_secret  # slow to load, and few calls need the key

    return str(get_secret(setting("HASH_KEY_SECRET"))).encode()
