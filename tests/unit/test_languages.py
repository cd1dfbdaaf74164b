"""The catalogues: complete, as the code has them, and a further language is added as docs/languages.md says."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
import yaml
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from local import catalogues
from local.catalogues import ROOT
from shared.domain.patient import Language, parse_language
from shared.locale import texts
from tests.reading import read

RECIPE = (ROOT / "docs" / "languages.md").read_text("utf-8")
NEW = "eo"  # the recipe's Portuguese may be among the languages one day; Esperanto takes its place here


def test_every_catalogue_is_complete_and_as_the_code_has_it() -> None:
    assert list(catalogues.stale()) == []
    assert [wrong for language in catalogues.translated() for wrong in catalogues.complaints(language)] == []


@pytest.mark.parametrize(
    ("english", "translation", "complaint"),
    [
        ("Send", "", "not translated"),
        ("Send", " \n", "not translated"),
        ("Send {score}", "Enviar", "other words in braces"),
        ("Send {score}", "Enviar {puntos}", "other words in braces"),
        ("Send {score}", "Enviar {score} {score}", "other words in braces"),
        ("Send {score}", "Enviar {score", "other words in braces"),
        ("Send", "Enviar mi respuesta", "19 characters long, and there is room for 10"),
        ("Send {score}", "Enviarla {score}!", ""),
        ("Send the answer", "Enviar", "the English is longer than the 10"),
        ("Send", "<b>Va</b>", "HTML would be shown"),
        ("Send", "Enviar", ""),
    ],
)
def test_what_would_read_badly_is_named(english: str, translation: str, complaint: str) -> None:
    catalog = Catalog()
    message = catalog.add(english, translation, auto_comments=["At most 10 characters: a button."])
    found = list(catalogues._wrong(message))
    assert found == [] if not complaint else complaint in found[0]


def test_a_guess_of_a_translator_s_tool_is_no_translation() -> None:
    message = Catalog().add("Send", "Enviar", flags=["fuzzy"])
    assert any("fuzzy" in wrong for wrong in catalogues._wrong(message))


def test_a_text_s_room_stands_above_it_in_the_code() -> None:
    limits = {str(message.id): message.auto_comments for message in catalogues.extract() if message.id}
    assert limits["Unsubscribe"] == ["At most 30 characters: a button."]
    assert all(limits[subject] for subject in limits if subject.endswith("question from {practice}"))


@pytest.mark.parametrize("said", ["es", "ES", "es-MX", "es_US", "spa", "SPA^Spanish", "Spanish", "Español", " esp "])
def test_spanish_is_known_by_its_codes_and_names(said: str) -> None:
    assert parse_language(said) is Language.SPANISH


@pytest.mark.parametrize("said", ["", "en", "English", "eo", "epo", "Estonian", "est", "12", "?"])
def test_every_other_language_is_answered_in_english(said: str) -> None:
    assert parse_language(said) is Language.ENGLISH


def test_the_description_of_both_addresses_knows_every_language() -> None:
    described = yaml.safe_load((ROOT / "docs" / "api.yaml").read_text("utf-8"))
    assert set(described["components"]["schemas"]["Language"]["enum"]) == set(Language)


def test_english_reads_as_it_is_written() -> None:
    assert texts("en")("Hello,") == "Hello,"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project beside itself, to be changed."""
    copy = tmp_path_factory.mktemp("copy")
    without = shutil.ignore_patterns("__pycache__")
    for folder in ("shared", "local", "infra"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=without)
    (copy / "tests").mkdir()
    for name in ("environment.py", "patient_texts.py"):
        shutil.copy(ROOT / "tests" / name, copy / "tests")
    return copy


def make_catalogues(copy: Path, *options: str) -> tuple[int, str]:
    """What `make catalogues` runs; its exit code and what it says."""
    command = [sys.executable, "-m", "local.catalogues", *options]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def portuguese(copy: Path) -> dict[str, str]:
    """Everything patients read in a language that was added by following the recipe; each text in quotation marks."""
    [change] = re.findall(r"```diff\n(.*?)```", RECIPE, re.DOTALL)
    for example, new in (("PORTUGUESE", "ESPERANTO"), ('"pt"', f'"{NEW}"'), ('"por"', '"epo"')):
        assert example in change
        change = change.replace(example, new)
    _apply(change, copy)
    code, said = make_catalogues(copy, "--check")
    assert (code, said.splitlines()[0]) == (1, f"{_file(NEW)} is not up to date: run `make catalogues`.")
    code, said = make_catalogues(copy)
    untranslated = [line for line in said.splitlines() if line.startswith(f"{_file(NEW)}: not translated")]
    assert (code, len(untranslated)) == (1, len([message for message in catalogues.extract() if message.id]))
    _translate(copy / _file(NEW), lambda english: f"«{english}»")
    assert make_catalogues(copy) == (0, "The catalogues are complete.\n")
    command = [sys.executable, "-m", "tests.patient_texts", NEW]
    rendered: dict[str, str] = json.loads(subprocess.run(command, cwd=copy, capture_output=True, check=True).stdout)
    return rendered


def _file(language: str) -> str:
    return f"shared/locale/{language}/LC_MESSAGES/careloop.po"


def _apply(change: str, copy: Path) -> None:
    """Apply the recipe's diff, whose hunks tell no line numbers: each must fit in exactly one place."""
    header, *hunks = re.split(r"^@@\n", change, flags=re.MULTILINE)
    file = copy / re.findall(r"^\+\+\+ b/(.*)$", header, re.MULTILINE)[0]
    text = file.read_text("utf-8")
    for hunk in hunks:
        lines = hunk.splitlines(keepends=True)
        before, after = ("".join(line[1:] for line in lines if line[0] != sign) for sign in "+-")
        assert text.count(before) == 1
        text = text.replace(before, after)
    file.write_text(text, "utf-8")


def _translate(file: Path, translate: Callable[[str], str]) -> None:
    with file.open("rb") as written:
        catalog = read_po(written)
    for message in catalog:
        if message.id:
            message.string = translate(str(message.id))
    with file.open("wb") as written:
        write_po(written, catalog)


def test_following_the_recipe_adds_a_language_to_every_mail_and_page(portuguese: dict[str, str]) -> None:
    everything = unescape("\n".join(portuguese.values()))
    texts = [str(message.id) for message in catalogues.extract() if message.id]
    for text in texts:
        pattern = "".join(
            re.escape(part) if i % 2 == 0 else ".*?" for i, part in enumerate(re.split(r"(\{\w+\})", text))
        )
        assert re.search(f"«{pattern}»", everything), text
    assert len(texts) > 90


def test_no_text_that_a_patient_reads_is_outside_the_catalogue(portuguese: dict[str, str]) -> None:
    assert {name: words for name, text in portuguese.items() if (words := _outside(text))} == {}


def test_a_word_outside_the_catalogue_would_be_found() -> None:
    assert _outside("<p title='«Hello «1111»,»'>«Hello»<b>2</b></p>") == []
    assert _outside("<p title='Hello'>«Hello «1111»,» there <a href='https://x.example/'>«you»</a></p>") == [
        "Hello",
        "there",
    ]


def _outside(text: str) -> list[str]:
    """The words that stand in no quotation marks; links are none."""
    if "<" not in text:
        pieces = [text]
    else:
        spoken = ("title", "alt", "aria-label", "aria-roledescription", "aria-description", "placeholder", "value")
        plain = re.sub(r"<style>.*?</style>|<!doctype[^>]*>|<!--.*?-->", "", text, flags=re.DOTALL | re.IGNORECASE)
        attributes = [e.attributes.get(name, "") for e in read(plain).elements for name in spoken]
        pieces = [*attributes, unescape(re.sub(r"<[^>]*>", " ", plain))]
    outside = []
    for piece in pieces:
        depth, kept = 0, ""
        for letter in re.sub(r"https://\S+", "", piece):
            depth += (letter == "«") - (letter == "»")
            kept += letter if not depth else " "
        outside += re.findall(r"[^\W\d_]+", kept)
    return outside


def test_what_is_no_longer_as_the_code_has_it_is_told(portuguese: dict[str, str], copy: Path) -> None:
    wording = copy / "shared" / "locale" / "wording.py"
    written = wording.read_text("utf-8")
    wording.write_text(written.replace("Thank you from {practice}", "Thanks from {practice}"), "utf-8")
    code, said = make_catalogues(copy, "--check")
    assert code == 1
    assert f"{_file('es')} is not up to date: run `make catalogues`." in said
    assert "not translated: 'Thanks from {practice}'" in said
    assert "the code has no such text any more; delete its lines: 'Thank you from {practice}'" in said
    wording.write_text(written, "utf-8")
    template = copy / "infra" / "template.yaml"
    template.write_text(
        template.read_text("utf-8").replace("<h1>This page cannot", "<h1>This page can not", 1), "utf-8"
    )
    code, said = make_catalogues(copy, "--check")
    assert (code, said) == (
        1,
        "The gateway's pages in infra/template.yaml are not up to date: run `make catalogues`.\n",
    )
