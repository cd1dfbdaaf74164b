"""What an answer does to a browser: where it sends it, and what it makes it keep."""

import re
from urllib.parse import urljoin, urlsplit

from tests.handlers.dashboard import SITE
from tests.hostile.gateway import STAFF, Answer


def may_lead_to(answer: Answer) -> None:
    """A redirect leads to our own pages or to the user pool's."""
    location = answer.header("Location")
    if location:
        assert location.isascii()
        assert location.isprintable()
        resolved = urlsplit(as_a_browser_resolves(location))
        assert f"{resolved.scheme}://{resolved.netloc}" in (STAFF, SITE.sign_in_origin), location


def as_a_browser_resolves(location: str) -> str:
    """The address after what browsers do to one: they drop tabs and line breaks, and take a backslash for a slash."""
    seen = re.sub(r"[\t\r\n]", "", location.strip("".join(map(chr, range(33))))).replace("\\", "/")
    seen = re.sub(r"^(https?):/*", r"\1://", seen, flags=re.IGNORECASE)
    seen = re.sub(r"^/{2,}", "//", seen)
    return urljoin(STAFF + "/signed-in", seen)


def is_a_host_cookie(cookie: str) -> None:
    """It goes to this very host over TLS, to no script, and with no form of another site."""
    name, _, rest = cookie.partition("=")
    flags = {part.strip() for part in rest.split(";")[1:]}
    assert name.startswith("__Host-")
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= flags
    assert not any(flag.startswith("Domain") for flag in flags)
