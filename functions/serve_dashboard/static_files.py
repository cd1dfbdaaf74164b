"""Style, script and icon: the same for everybody, kept by browsers until they change."""

from functions.serve_dashboard.pages import static_file, version_of
from functions.serve_dashboard.web import NotFound, Request, Response

_KINDS = {
    "style.css": "text/css; charset=utf-8",
    "copy.js": "text/javascript; charset=utf-8",
    "print.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def serve(request: Request) -> Response:
    """A file by its name; under an older version's address browsers must ask again."""
    name = request.params["name"]
    if name not in _KINDS:
        raise NotFound
    is_current = request.query("v") == version_of(name)
    keep = "public, max-age=31536000, immutable" if is_current else "no-cache"
    return Response(static_file(name), 200, _KINDS[name], {"Cache-Control": keep})
