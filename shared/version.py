"""Which Careloop this is: what people name when something is wrong."""

from functools import cache
from pathlib import Path

_FILE = Path(__file__).parents[1] / "VERSION"


@cache
def version() -> str:
    """The release and, in what is deployed, a digest of what it was built from: `0.9.0+3f2a1b9c8d`."""
    return _FILE.read_text("ascii").strip()
