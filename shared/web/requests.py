"""What an API Gateway (REST) event says of the request."""

from typing import Any

from shared.domain.patient import Language
from shared.web.pages import language_of


def token_in(event: dict[str, Any]) -> str:
    """The link token of the path, as it came."""
    return str((event.get("pathParameters") or {}).get("token") or "")


def query(event: dict[str, Any], name: str) -> str:
    """One query parameter, or nothing."""
    return str((event.get("queryStringParameters") or {}).get(name) or "")


def address_of(event: dict[str, Any]) -> str:
    """The reader's IP address; empty if the gateway does not say."""
    return str(((event.get("requestContext") or {}).get("identity") or {}).get("sourceIp") or "")


def language_wanted(event: dict[str, Any]) -> Language:
    """The language that the reader's browser asks for."""
    headers = event.get("headers") or {}
    wanted = (value for name, value in headers.items() if name.lower() == "accept-language")
    return language_of(next(wanted, None))
