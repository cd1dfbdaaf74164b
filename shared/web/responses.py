"""Pages as answers of the API: each with the headers that keep it private and harmless."""

import base64
import hashlib
from functools import cache
from typing import Any

from shared.web.pages import stylesheet


def page(status: int, html: str, language: str) -> dict[str, Any]:
    """An answer that no cache keeps, no other site frames, and that runs and loads nothing but its own style."""
    return {
        "statusCode": status,
        "headers": {"Content-Language": language, **_headers()},
        "body": html,
        "isBase64Encoded": False,
    }


@cache
def _headers() -> dict[str, str]:
    style = base64.b64encode(hashlib.sha256(stylesheet().encode()).digest()).decode()
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'"
        ),
        # The address holds the patient's token: it goes to no other site.
        "Referrer-Policy": "no-referrer",
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow",
    }
