"""A patient whose every word is unmistakable, and a search for them that no encoding hides from."""

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

import boto3

from tests.environment import TABLES

PATIENT_ID, RETIRED_ID = "CNRY-770413", "CNRY-OLD-99"
FIRST, LAST = "Zyxaphine", "Quolvántry"
EMAIL, OLD_EMAIL = "quailfeather@canary-mail.example", "old.feather@canary-mail.example"
PHONE = "+15185550177"
COMMENT = "my left knee squeaks like a xylobone"
NOTE = "told her the xylobone will be oiled"
THERAPIST = "Threnodia Vexwarble"
CASE_ID, VISIT_ID = "CSCNRY-31", "VSCNRY"

WORDS = {
    "record number": PATIENT_ID,
    "former record number": RETIRED_ID,
    "first name": FIRST,
    "last name": LAST,
    "address": EMAIL,
    "former address": OLD_EMAIL,
    "telephone": PHONE.removeprefix("+1"),
    "comment": COMMENT,
    "staff's note": NOTE,
    "case of care": CASE_ID,
    "visit": VISIT_ID,
}
"""What may be found nowhere but where it belongs. A therapist is no patient, see THERAPIST."""


def spellings(word: str) -> Iterator[str]:
    """Every way in which a word might have been written down, in lower case."""
    yield word.lower()
    for encoded in (quote(word), quote_plus(word), html.escape(word), json.dumps(word)[1:-1], repr(word)[1:-1]):
        yield encoded.lower()
    yield json.dumps(json.dumps(word))[3:-3].lower()
    for encoding in ("utf-8", "utf-16-le", "cp1252"):
        yield word.encode(encoding).hex()
        yield repr(word.encode(encoding))[2:-1].lower()
    yield word.encode("utf-8").decode("cp1252", "replace").lower()
    for digest in (hashlib.md5, hashlib.sha1, hashlib.sha256):
        for form in {word, word.lower()}:
            yield digest(form.encode()).hexdigest()
    yield word[::-1].lower()


def base64_spellings(word: str) -> Iterator[str]:
    """What of its base64 is the same wherever it stands in a text, which depends on the place modulo three."""
    raw = word.encode()
    for start in range(3):
        coded = base64.b64encode(b"\0" * start + raw).decode().rstrip("=")
        yield coded[(0, 2, 3)[start] : -1]


@dataclass
class Leak:
    """A word that stands where it must not."""

    what: str
    where: str
    excerpt: str


def leaks(texts: Iterable[tuple[str, str]], words: Mapping[str, str]) -> list[Leak]:
    """Every word that is found in any of the texts, each named by where it came from."""
    plain = {spelling: what for what, word in words.items() for spelling in spellings(word)}
    coded = {spelling: what for what, word in words.items() for spelling in base64_spellings(word)}
    listed = list(texts)
    whole = "\0".join(text for _, text in listed)
    if not any(_found(whole, plain, coded)):
        return []  # the ordinary case, and looked at as a whole a hundred times faster
    return [Leak(what, where, excerpt) for where, text in listed for what, excerpt in _found(text, plain, coded)]


def _found(text: str, plain: Mapping[str, str], coded: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    unsigned = text.replace("-", "+").replace("_", "/")  # base64 for addresses
    bare = re.sub(r"[\s().+-]", "", text)  # a telephone number, however it is set
    for names, haystack in ((plain, text.lower()), (plain, bare.lower()), (coded, text), (coded, unsigned)):
        for spelling, what in names.items():
            if (place := haystack.find(spelling)) >= 0:
                yield what, haystack[max(0, place - 60) : place + len(spelling) + 20]


def tables() -> Iterator[tuple[str, str]]:
    """Every row of every table."""
    client = boto3.client("dynamodb")
    for name in TABLES:
        for page in client.get_paginator("scan").paginate(TableName=os.environ[f"{name.upper()}_TABLE"]):
            for item in page["Items"]:
                yield f"table {name}", json.dumps(item, ensure_ascii=False, default=sorted)


def objects() -> Iterator[tuple[str, str]]:
    """Every version of every object of the intake bucket, with its name; what was deleted is still named."""
    s3, bucket = boto3.client("s3"), os.environ["INTAKE_BUCKET"]
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for version in page.get("Versions", ()):
            body = s3.get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])["Body"].read()
            yield f"object {version['Key']}", version["Key"] + " " + body.decode("utf-8", "replace")
        for marker in page.get("DeleteMarkers", ()):
            yield f"deleted {marker['Key']}", marker["Key"]


@dataclass
class Words:
    """The words to look for; links, once mailed, are among them."""

    words: dict[str, str] = field(default_factory=lambda: dict(WORDS))

    def add_links(self, texts: Iterable[str]) -> None:
        """Learn the tokens of the links in these mails: whoever holds one is the patient."""
        for text in texts:
            for token in re.findall(r"/[su]/([a-z2-7]{52})", text):
                self.words[f"link {token[26:30]}…"] = token
                self.words[f"secret {token[26:30]}…"] = token[26:]


def has_none_of(words: Mapping[str, str], texts: Iterable[tuple[str, str]]) -> None:
    """Fail with every leak that there is."""
    found = leaks(texts, words)
    assert not found, "\n".join(f"{leak.what} in {leak.where}: …{leak.excerpt}…" for leak in found[:20])
