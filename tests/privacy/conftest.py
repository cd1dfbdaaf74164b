"""Canary patients on moto."""

from tests.handlers.conftest import aws, choose, moto

__all__ = ["aws", "choose", "moto"]
