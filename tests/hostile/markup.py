"""What a browser makes of a page: the elements that it would build, by the parser of the HTML standard."""

from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser

_ADDRESSES = {"href", "src", "action", "formaction", "poster", "data", "srcset", "background", "cite", "ping"}

Element = tuple[str, tuple[str, ...]]


def elements(page: str) -> list[Element]:
    """Each element with its parents and the names of its attributes, in order."""
    found = []
    root = LexborHTMLParser(page).root
    assert root is not None
    for node in root.traverse(include_text=False):
        if node.tag and not node.tag.startswith(("-", "!")):
            parents = []
            above = node.parent
            while above is not None and above.tag:
                parents.append(above.tag)
                above = above.parent
            found.append((">".join([*reversed(parents), node.tag]), tuple(sorted(node.attributes))))
    return found


def foreign(page: str, *own: str) -> list[str]:
    """What no page of ours has: scripts inside the page, handlers of events, and addresses of other hosts."""
    found = []
    root = LexborHTMLParser(page).root
    assert root is not None
    for node in root.traverse(include_text=False):
        for name, value in node.attributes.items():
            if name.startswith("on"):
                found.append(f"<{node.tag} {name}>")
            if name in _ADDRESSES and not _is_own(value or "", own):
                found.append(f"<{node.tag} {name}={value!r}>")
        if node.tag in ("iframe", "object", "embed", "base", "plaintext", "math", "frame", "template"):
            found.append(f"<{node.tag}>")
        if node.tag == "script" and (node.text() or not node.attributes.get("src")):
            found.append("<script>")
    return found


def _is_own(address: str, own: tuple[str, ...]) -> bool:
    parts = urlsplit(address)
    if parts.scheme in ("mailto", "tel"):
        return True
    if not parts.scheme and not parts.netloc:
        return "\\" not in address and not address.startswith("//")
    return parts.scheme == "https" and f"{parts.scheme}://{parts.netloc}" in own
