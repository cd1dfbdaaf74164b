"""The documents as a reader sees them: headings with their anchors, links, blocks, and what stands in backticks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from local.template import ROOT

_FENCE = re.compile(r"^( *)(```+)([^\n`]*)\n(.*?)^ *\2`*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*)\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block; one that names no language holds commands."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


@dataclass(frozen=True)
class Link:
    """Where a link or picture points, and the words it stands on."""

    target: str
    words: str
    is_picture: bool


@dataclass(frozen=True)
class Document:
    """One Markdown file of the project."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        return _read(self.path)

    def blocks(self) -> list[Block]:
        return [
            Block(self.name, self.text.count("\n", 0, found.start()) + 1, found[3].strip(), found[4])
            for found in _FENCE.finditer(self.text)
        ]

    def prose(self) -> str:
        """Everything outside of blocks."""
        return _FENCE.sub("", self.text)

    def quoted(self) -> list[str]:
        """What stands in backticks."""
        return [found.replace("\\|", "|") for found in re.findall(r"`([^`\n]+)`", self.prose())]

    def headings(self) -> list[tuple[int, str]]:
        return [(len(marks), words) for marks, words in re.findall(r"^(#+) +(.+)$", self.prose(), re.MULTILINE)]

    def anchors(self) -> list[str]:
        """What may stand behind # in a link, as GitHub makes it of the headings."""
        made: list[str] = []
        for _, words in self.headings():
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", words).lower()
            slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
            again = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", earlier) is not None for earlier in made)
            made.append(f"{slug}-{again}" if again else slug)
        return made

    def links(self) -> Iterator[Link]:
        prose = re.sub(r"`[^`\n]+`", "``", self.prose())
        for picture, words, target in _LINK.findall(prose):
            yield Link(target, words, bool(picture))
            yield from (Link(inner, alt, True) for mark, alt, inner in _LINK.findall(words) if mark)

    def section(self, heading: str) -> str:
        """The text below a heading, up to the next of its rank."""
        marks = next("#" * rank for rank, words in self.headings() if words == heading)
        rest = self.text.partition(f"\n{marks} {heading}\n")[2]
        return re.split(rf"^#{{1,{len(marks)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables in a text, heads and rules left out."""
    lines = text.splitlines()
    kept = [
        line
        for number, line in enumerate(lines)
        if line.startswith("|")
        and not re.fullmatch(r"[|:\- ]+", line)
        and not (number + 1 < len(lines) and re.fullmatch(r"[|:\- ]+", lines[number + 1] or "x"))
    ]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in kept]


@cache
def _read(path: Path) -> str:
    return path.read_text("utf-8")


DOCUMENTS = [Document(path) for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))]


def document(name: str) -> Document:
    """One of them by its path."""
    return Document(ROOT / name)
