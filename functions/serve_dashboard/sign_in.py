"""Signing in and out through the user pool's own pages: authorization code with PKCE, exchanged by this server.

The browser only ever holds the code. What it needs to be worth anything, the verifier, lies with `state` and `nonce`
in a cookie that lives ten minutes and is taken away when they are used.
"""

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import os
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from functions.serve_dashboard import pages, session
from functions.serve_dashboard.web import Request, Response, as_json, see_other
from shared.config import setting
from shared.domain.staff import Staff, role_of
from shared.observability import log, warn

COOKIE = "__Host-sign-in"
_LIFETIME = timedelta(minutes=10)
_TOKEN_SECONDS = 10
_LOCAL = re.compile(r"/[!-\[\]-~]*")  # printable ASCII without a backslash


class NotSignedIn(Exception):
    """The user pool did not vouch for anybody; the message says why, for the log."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one way to the sign-in pages and back must agree on."""

    state: str
    nonce: str
    verifier: str
    return_path: str


def wanted(request: Request) -> Response:
    """The answer to somebody who is not signed in, or no longer."""
    if request.path.startswith("/api/"):
        return as_json({"error": "Please sign in."}, 401)
    if request.method != "GET":
        text = "You have been signed out, and what you sent was not saved. Please sign in and send it again."
        return pages.page(request, None, "signed_out.html", status=401, title="Please sign in again", text=text)
    query = {name: value for name, value in request.queries.items() if value != [""]}
    here = request.path + ("?" + urlencode(query, doseq=True) if query else "")
    return see_other(request.link("/sign-in", **{"return": here}))


def begin(request: Request) -> Response:
    """To the user pool's pages, which ask again even somebody who signed in there a moment ago."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    attempt = _Attempt(state, nonce, verifier, local_path(request.query("return")))
    query = {
        "response_type": "code",
        "client_id": request.site.client_id,
        "redirect_uri": _redirect_uri(request),
        "scope": "openid email profile",
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": _challenge(attempt.verifier),
        "code_challenge_method": "S256",
        "prompt": "login",
    }
    return see_other(f"{request.site.sign_in_url}/oauth2/authorize?{urlencode(query)}", _cookie(attempt))


def finish(request: Request) -> Response:
    """Back from the user pool's pages: a session and the page that was asked for, or a page that says why not."""
    attempt = _read_cookie(request)
    if attempt is None or not hmac.compare_digest(attempt.state.encode(), request.query("state").encode()):
        if session.of(request):  # two tabs, or the way back in the browser's history
            return see_other(request.link("/"))
        return _failed(request, "This sign-in was started in another window, or too long ago.")
    try:
        claims = _exchange(request, attempt)
        _check(claims, attempt, request)
    except NotSignedIn as reason:
        warn("sign_in", state="refused", reason=str(reason))
        return _failed(request, "The sign-in was not completed.")
    staff = _staff(claims)
    if staff is None:
        log("sign_in", state="no_role")
        text = "Your account has no part in the dashboard yet. Please ask the owner of your practice to give you one."
        return _signed_out(request, 403, "You cannot open the dashboard yet", text)
    log("sign_in", state="signed_in")
    return see_other(request.link(attempt.return_path), session.begin(request, staff), _no_cookie())


def sign_out(request: Request) -> Response:
    """End the session here, then that of the user pool's pages."""
    query = {"client_id": request.site.client_id, "logout_uri": f"{request.site.base_url}/signed-out"}
    return see_other(f"{request.site.sign_in_url}/logout?{urlencode(query)}", session.end(request))


def signed_out(request: Request) -> Response:
    """What is shown afterwards."""
    return _signed_out(request, 200, "You are signed out", "Close this window if others use this computer.")


def local_path(text: str) -> str:
    """The text if it is a path of the dashboard, else its first page: nobody is led elsewhere."""
    plain = unquote(unquote(text))
    is_local = _LOCAL.fullmatch(text) and not plain.startswith("//") and "\\" not in plain and len(text) <= 1000
    return text if is_local and not text.startswith(("/sign", "//")) else "/"


def _exchange(request: Request, attempt: _Attempt) -> dict[str, Any]:
    """The ID token's claims, straight from the user pool over TLS: that is what vouches for them (OIDC Core 3.1.3.7).

    NotSignedIn if the pool refuses the code, OSError if it cannot be reached.
    """
    if not request.query("code"):
        raise NotSignedIn(f"no code: {request.query('error')[:40]}")
    form = {
        "grant_type": "authorization_code",
        "client_id": request.site.client_id,
        "code": request.query("code"),
        "redirect_uri": _redirect_uri(request),
        "code_verifier": attempt.verifier,
    }
    connection = _connect(request.site.sign_in_url)
    try:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/oauth2/token", body=urlencode(form), headers=kind)
        answer = connection.getresponse()
        content = answer.read(64 * 1024)
    finally:
        connection.close()
    if answer.status >= 500:
        raise OSError(f"the user pool answers {answer.status}")
    if answer.status != 200:
        raise NotSignedIn(f"the code was refused: {answer.status}")
    return _claims(str(json.loads(content).get("id_token", "")))


def _connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.netloc, timeout=_TOKEN_SECONDS)
    if parts.hostname == "127.0.0.1":  # the local stack
        return http.client.HTTPConnection(parts.netloc, timeout=_TOKEN_SECONDS)
    raise NotSignedIn("the sign-in address is not https")


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        raise NotSignedIn("the ID token cannot be read") from None
    return claims


def _check(claims: dict[str, Any], attempt: _Attempt, request: Request) -> None:
    """NotSignedIn unless the token is of this pool, for this dashboard, for this attempt, and fresh."""
    issuer = f"https://cognito-idp.{os.environ['AWS_REGION']}.amazonaws.com/{setting('USER_POOL_ID')}"
    expected = {"iss": issuer, "aud": request.site.client_id, "token_use": "id", "nonce": attempt.nonce}
    for name, value in expected.items():
        if claims.get(name) != value:
            raise NotSignedIn(f"the ID token has another {name}")
    if not _instant(claims, "exp", request.now.tzinfo) > request.now:
        raise NotSignedIn("the ID token has expired")
    # Else somebody at an unlocked computer could let the pool's own cookie sign in again without a password.
    if _instant(claims, "auth_time", request.now.tzinfo) < request.now - _LIFETIME:
        raise NotSignedIn("the password was given too long ago")


def _instant(claims: dict[str, Any], name: str, zone: Any) -> datetime:
    try:
        return datetime.fromtimestamp(int(claims[name]), zone)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise NotSignedIn(f"the ID token has no {name}") from None


def _staff(claims: dict[str, Any]) -> Staff | None:
    role = role_of(claims.get("cognito:groups") or [])
    if role is None:
        return None
    email = str(claims.get("email") or "")
    return Staff(
        user_id=str(claims["sub"]),
        name=str(claims.get("name") or email),
        email=email,
        role=role,
        clinics=frozenset(filter(None, (part.strip() for part in str(claims.get("custom:clinics") or "").split(";")))),
        therapist_id=str(claims.get("custom:therapist_id") or ""),
    )


def _failed(request: Request, text: str) -> Response:
    return _signed_out(request, 400, "You are not signed in", text)


def _signed_out(request: Request, status: int, title: str, text: str) -> Response:
    shown = pages.page(request, None, "signed_out.html", status=status, title=title, text=text)
    return Response(shown.body, status, cookies=(_no_cookie(),))


def _redirect_uri(request: Request) -> str:
    return f"{request.site.base_url}/signed-in"


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _cookie(attempt: _Attempt) -> str:
    path = base64.urlsafe_b64encode(attempt.return_path.encode()).decode().rstrip("=")
    value = ".".join((attempt.state, attempt.nonce, attempt.verifier, path))
    return f"{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={int(_LIFETIME.total_seconds())}"


def _no_cookie() -> str:
    return f"{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"


def _read_cookie(request: Request) -> _Attempt | None:
    parts = request.cookies.get(COOKIE, "").split(".")
    if len(parts) != 4 or not all(parts):
        return None
    state, nonce, verifier, packed = parts
    try:
        path = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    return _Attempt(state, nonce, verifier, local_path(path))
