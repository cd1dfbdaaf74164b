"""The catalogues of what patients read, one for each language but English, which stands in the code.

People edit `careloop.po`; `careloop.mo` is compiled from it and is what runs. Without `--check`, both are brought up to
date, and so are the gateway's pages in the template; either way, what is wrong is said, and the exit code tells. The
same texts give the same bytes.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from string import Formatter

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from local import gateway_pages
from shared.domain.patient import Language

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "infra" / "template.yaml"
_NEVER = datetime(2026, 1, 1, tzinfo=UTC)  # in place of the moment of writing
_LIMIT = re.compile(r"At most (\d+) characters")


def main() -> int:
    """The command line; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    is_check = parser.parse_args().check
    if not is_check:
        _write_catalogues()
        TEMPLATE.write_text(gateway_pages.renewed(TEMPLATE.read_text("utf-8")), "utf-8")
    found = [*stale(), *(wrong for language in translated() for wrong in complaints(language))]
    print("\n".join(found) if found else "The catalogues are complete.", file=sys.stderr if found else sys.stdout)
    return 1 if found else 0


def translated() -> list[Language]:
    """The languages that need a catalogue."""
    return [language for language in Language if language is not Language.ENGLISH]


def path(language: Language, kind: str = "po") -> Path:
    """Where a language's catalogue stands, as people edit it (`po`) or as it runs (`mo`)."""
    return ROOT / "shared" / "locale" / language / "LC_MESSAGES" / f"careloop.{kind}"


def extract() -> Catalog:
    """Every text in the code, with what stands above it about its length."""
    catalog = Catalog()
    file = Path(gateway_pages.__file__)
    found = [
        *((message, notes) for _, _, message, notes, _ in extract_from_dir(ROOT / "shared", comment_tags=("At most",))),
        *((message, notes) for _, message, notes, _ in extract_from_file("python", file, comment_tags=("At most",))),
    ]
    for message, notes in found:
        catalog.add(message, auto_comments=notes)
    return catalog


def stale() -> Iterator[str]:
    """What is not as the code has it."""
    for language in translated():
        for kind, content in _files(language).items():
            file = path(language, kind)
            if not file.exists() or file.read_bytes() != content:
                yield f"{file.relative_to(ROOT)} is not up to date: run `make catalogues`."
    template = TEMPLATE.read_text("utf-8")
    if all(path(language, "mo").exists() for language in translated()) and gateway_pages.renewed(template) != template:
        yield "The gateway's pages in infra/template.yaml are not up to date: run `make catalogues`."


def complaints(language: Language) -> Iterator[str]:
    """What is wrong with the texts of a language, and with the English ones they come from."""
    file = path(language).relative_to(ROOT)
    catalog = _updated(language)
    for message in catalog:
        if message.id:
            for wrong in _wrong(message):
                yield f"{file}: {wrong}: {str(message.id)!r}"
    for message in catalog.obsolete.values():
        yield f"{file}: the code has no such text any more; delete its lines: {str(message.id)!r}"


def _wrong(message: Message) -> Iterator[str]:
    english, translation = str(message.id), str(message.string or "")
    longest = min((int(limit) for note in message.auto_comments for limit in _LIMIT.findall(note)), default=0)
    if longest and _length(english) > longest:
        yield f"the English is longer than the {longest} characters that there is room for"
    if not translation.strip():
        yield "not translated"
        return
    if message.fuzzy:
        yield "marked as fuzzy; look at it and remove the mark"
    if _placeholders(translation) != _placeholders(english):
        yield "other words in braces than the English"
    elif longest and _length(translation) > longest:
        yield f"{_length(translation)} characters long, and there is room for {longest}"
    if "<" in translation and "<" not in english:
        yield "HTML would be shown as it stands"


def _placeholders(text: str) -> Counter[str] | None:
    """What stands in braces and how often; None if the braces do not match."""
    try:
        return Counter(name for _, name, _, _ in Formatter().parse(text) if name is not None)
    except ValueError:
        return None


def _length(text: str) -> int:
    """Characters, what is filled in not counted."""
    return sum(len(literal) for literal, _, _, _ in Formatter().parse(text))


def _write_catalogues() -> None:
    for language in translated():
        for kind, content in _files(language).items():
            path(language, kind).parent.mkdir(parents=True, exist_ok=True)
            path(language, kind).write_bytes(content)


def _files(language: Language) -> dict[str, bytes]:
    catalog, po, mo = _updated(language), BytesIO(), BytesIO()
    write_po(po, catalog, no_location=True, sort_output=True)
    write_mo(mo, catalog)
    return {"po": po.getvalue(), "mo": mo.getvalue()}


def _updated(language: Language) -> Catalog:
    """The written catalogue with the code's texts: new ones are empty, those no longer used stand at its end."""
    file = path(language)
    catalog = read_po(BytesIO(file.read_bytes() if file.exists() else b""), locale=language)
    catalog.project, catalog.version = "Careloop", "1"
    catalog.msgid_bugs_address, catalog.last_translator = "the practice", "Careloop"
    catalog.update(extract(), no_fuzzy_matching=True, update_creation_date=False)
    catalog.creation_date = catalog.revision_date = _NEVER
    return catalog


if __name__ == "__main__":
    sys.exit(main())
