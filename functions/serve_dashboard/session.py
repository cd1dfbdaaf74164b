"""The staff's sessions: a secret in the browser's cookie, a row under its hash."""

import hashlib
import re
import secrets
from dataclasses import replace

from functions.serve_dashboard.web import Request
from shared.domain.staff import Session, Staff
from shared.storage import sessions

# Browsers keep a __Host- cookie to this very host: no other page of the domain can plant one.
NAME = "__Host-session"
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def begin(request: Request, staff: Staff) -> str:
    """Sign somebody in, under a secret that never existed before; returns the cookie."""
    end(request)
    secret = secrets.token_urlsafe(32)
    sessions.create(_hash(secret), Session(staff, request.now, request.now))
    return f"{NAME}={secret}; Path=/; Secure; HttpOnly; SameSite=Lax"


def of(request: Request) -> Staff | None:
    """Who sends this request; using a session keeps it from going idle."""
    session_id = _session_id(request)
    session = sessions.find(session_id) if session_id else None
    if session_id is None or session is None or session.is_over(request.now):
        return None
    if session.needs_renewal(request.now):
        sessions.renew(session_id, replace(session, seen_at=request.now))
    return session.staff


def end(request: Request) -> str:
    """Sign out, if anybody is signed in; returns the cookie that takes the secret from the browser."""
    session_id = _session_id(request)
    if session_id:
        sessions.end(session_id)
    return f"{NAME}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"


def _session_id(request: Request) -> str | None:
    secret = request.cookies.get(NAME, "")
    return _hash(secret) if _SECRET.fullmatch(secret) else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
