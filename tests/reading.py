"""What a person, or their screen reader, finds in a piece of HTML."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"input", "meta", "br", "link", "img"}


@dataclass
class Element:
    """An element with its attributes and all the text inside."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: tuple[str, ...] = ()


@dataclass
class Reader(HTMLParser):
    """Reads strictly: an element that is never closed, or closed twice, is an error."""

    elements: list[Element] = field(default_factory=list)
    _open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute of <{tag}> is given twice"
        element = Element(tag, {name: value or "" for name, value in attrs}, inside=tuple(e.tag for e in self._open))
        self.elements.append(element)
        if tag == "br":
            self.handle_data("\n")
        elif tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Every such element that has these attribute values."""
        return [e for e in self.elements if e.tag == tag and attributes.items() <= e.attributes.items()]

    def one(self, tag: str, **attributes: str) -> Element:
        """The only such element."""
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} elements {tag} {attributes}"
        return found[0]


def read(html: str) -> Reader:
    """The elements of a complete document."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader._open, f"never closed: {[e.tag for e in reader._open]}"
    return reader
