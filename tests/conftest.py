"""Every test sees the same environment, whatever the shell of the person who runs it."""

from tests.environment import set_environment

set_environment()
