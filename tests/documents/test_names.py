"""What the documents name exists: files, anchors, parameters, outputs, variables. Pictures can be read by everybody."""

import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import botocore.session
import pytest

from functions.serve_dashboard.practice_page import SECTIONS
from local.template import ROOT, load_template
from tests.documents.markdown import DOCUMENTS, Document, document, rows

TEMPLATE = load_template()
PARAMETERS = TEMPLATE["Parameters"]
SVG = "{http://www.w3.org/2000/svg}"
PICTURES = sorted((ROOT / "docs" / "images").glob("*.svg"))
# What a recipe has its reader make, or what a command makes.
MADE_BY_THE_READER = {
    "functions/do_something",
    "functions/do_something/handler.py",
    "DoSomethingFunction",
    "SomethingHappened",
    "SomethingHappenedAlarm",
    "functions/import_visits/readers/their_format.py",
    "shared/locale/pt/LC_MESSAGES/careloop.po",
    ".local/stack.json",
}
# Words with capitals inside that are not ours, and whose they are.
NOT_OURS = {
    "AutoPublishAliasAllProperties": "SAM",
    "DeletedTableBackup": "DynamoDB",
    "ReadOnlyAccess": "a policy of AWS's",
    "TooManyRequests": "AWS Lambda",
    "UPDATE_ROLLBACK_FAILED": "CloudFormation",
}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
class TestEachDocument:
    def test_its_links_lead_somewhere(self, page: Document) -> None:
        for link in page.links():
            if link.target.startswith("https://"):
                continue  # nobody is asked on the network
            file, _, anchor = link.target.partition("#")
            path = (page.path.parent / file).resolve() if file else page.path
            assert path.is_relative_to(ROOT), link
            assert path.exists(), link
            if anchor and path.suffix == ".md":
                assert anchor in Document(path).anchors(), link

    def test_its_pictures_say_in_words_what_they_show(self, page: Document) -> None:
        assert all(len(link.words) > 15 for link in page.links() if link.is_picture)

    def test_it_has_one_title_and_skips_no_rank(self, page: Document) -> None:
        ranks = [rank for rank, _ in page.headings()]
        assert ranks[:1] == [1]
        assert ranks.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(ranks))

    def test_files_and_folders_that_it_names_exist(self, page: Document) -> None:
        for named in page.quoted():
            for path in paths_in(named):
                assert path.rstrip("/") in MADE_BY_THE_READER or exists(path), named

    def test_names_of_the_template_and_variables_that_it_uses_exist(self, page: Document) -> None:
        for named in page.quoted():
            for word in re.findall(r"(?<![\w./:-])[A-Z][a-z]+(?:[A-Z][a-z]+)+\b(?!\.)", named):
                assert word in NOT_OURS or word in MADE_BY_THE_READER or is_ours(word) or word in calls_of_aws(), named
            for word in re.findall(r"(?<![\w.-])[A-Z]+(?:_[A-Z]+)+\b", named):
                assert word in NOT_OURS or is_ours(word), named


def paths_in(named: str) -> Iterator[str]:
    """What among the words is a path of the repository: it begins as one, or ends as our files do."""
    tops = {path.name for path in ROOT.iterdir()} - {"incoming", "settings"}
    for word in named.split():
        if re.search(r"[<>*$…{}=:]|://", word):
            continue
        if ("/" in word and word.split("/")[0] in tops) or re.fullmatch(r"[\w./-]+\.(py|md|toml|po|mo|yaml)", word):
            yield word


def exists(path: str) -> bool:
    """From the root, from docs/, or somewhere below."""
    return (
        (ROOT / path).exists() or (ROOT / "docs" / path).exists() or any(each.endswith(f"/{path}") for each in files())
    )


@cache
def files() -> frozenset[str]:
    found = (
        path
        for top in ("functions", "shared", "local", "tests", "bench", "infra", "docs")
        for path in (ROOT / top).rglob("*.*")
    )
    return frozenset(path.relative_to(ROOT).as_posix() for path in found)


def is_ours(word: str) -> bool:
    """A word of the template, the Makefile or the code."""
    return re.search(rf"\b{word}\b", sources()) is not None


@cache
def calls_of_aws() -> frozenset[str]:
    """What the services that hold data can be asked, by AWS's names, which rights have as well."""
    session = botocore.session.get_session()
    services = ("dynamodb", "s3", "cognito-idp", "secretsmanager", "kms", "cloudformation", "lambda")
    return frozenset(name for service in services for name in session.get_service_model(service).operation_names)


@cache
def sources() -> str:
    paths: list[Path] = [ROOT / "Makefile", ROOT / "samconfig.toml", *(ROOT / "infra").glob("*.yaml")]
    paths += [path for top in ("functions", "shared", "local", "infra", "bench") for path in (ROOT / top).rglob("*.py")]
    return "\n".join(path.read_text("utf-8") for path in paths)


def test_from_the_readme_every_document_can_be_reached() -> None:
    reached, waiting = set(), [document("README.md")]
    while waiting:
        page = waiting.pop()
        if page.name in reached:
            continue
        reached.add(page.name)
        for link in page.links():
            path = (page.path.parent / link.target.partition("#")[0]).resolve()
            if path.suffix == ".md" and path.is_file():
                waiting.append(Document(path))
    assert {page.name for page in DOCUMENTS} <= reached


def test_every_parameter_is_told_of_with_its_default() -> None:
    told: dict[str, str] = {}
    for names, default, *_ in rows(document("docs/parameters.md").text):
        listed = re.findall(r"`(\w+)`", names)
        values = [each.strip() for each in default.split(", ")] if len(listed) > 1 else [default]
        told |= dict(zip(listed, values * len(listed) if len(values) == 1 else values, strict=False))
    assert set(told) == set(PARAMETERS)
    for name, value in told.items():
        default = str(PARAMETERS[name].get("Default", ""))
        assert value.strip("`") == default or (not default and value in ("", "none", "the APIs' own", "the stack's")), (
            name
        )


def test_what_owners_can_change_on_the_dashboard_is_marked() -> None:
    forms = {choice.name for section in SECTIONS.values() for choice in section.choices}
    for names, _, _, marked in rows(document("docs/parameters.md").text):
        listed = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() for name in re.findall(r"`(\w+)`", names)}
        assert listed <= forms if marked == "yes" else not listed & forms, names


def test_no_exception_is_left_that_nothing_needs() -> None:
    told = " ".join(page.text for page in DOCUMENTS)
    assert [word for word in (*NOT_OURS, *MADE_BY_THE_READER) if word not in told] == []


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_has_a_name_and_a_description_and_needs_nothing_from_elsewhere(path: Path) -> None:
    root = ElementTree.fromstring(path.read_text("utf-8"))
    assert root.get("role") == "img"
    assert root.get("viewBox")
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert title.text
    assert description.text
    assert {title.get("id"), description.get("id")} == set((root.get("aria-labelledby") or "").split())
    assert not re.search(r"\b(href|src)=.(?!#)|url\((?!#)|@import|<script", path.read_text("utf-8"))


def test_every_picture_is_shown_somewhere() -> None:
    shown = {
        (page.path.parent / link.target).resolve() for page in DOCUMENTS for link in page.links() if link.is_picture
    }
    assert set((ROOT / "docs" / "images").iterdir()) <= shown


def test_what_code_and_template_send_people_to_is_there() -> None:
    said = sources() + "\n".join(path.read_text("utf-8") for path in (ROOT / "functions").rglob("*.html"))
    sent = set(re.findall(r"\bdocs/\w+\.md(?:#[\w-]+)?", said))
    assert sent
    for target in sent:
        name, _, anchor = target.partition("#")
        assert (ROOT / name).is_file(), target
        assert not anchor or anchor in document(name).anchors(), target
    assert {words[0] for rank, words in document("docs/deploy.md").headings() if rank == 2} >= set(
        re.findall(r"docs/deploy\.md,? (?:says in |in )?step (\d)", said)
    )


# What the pages for a practice name in italics is a label of the dashboard's, of AWS's console, or a word of art.
OF_AWS = {
    *("Agreements", "Account agreements", "Organization agreements"),
    *("AWS Business Associate Addendum", "Download and review", "Accept and download"),
}
WORDS_OF_ART = {"SES sandbox", "Writes", "As-of"}


@pytest.mark.parametrize(
    "name", ["README.md", "docs/deploy.md", "docs/privacy.md", "docs/connect.md", "docs/intake.md"]
)
def test_labels_of_the_dashboard_are_those_that_people_see(name: str) -> None:
    shown = sources() + "\n".join(path.read_text("utf-8") for path in (ROOT / "functions").rglob("*.html"))
    for label in re.findall(r"(?<![*\w])\*([A-Z][^*\n]+)\*(?![*\w])", document(name).prose()):
        for part in label.split(" → "):
            assert part in OF_AWS | WORDS_OF_ART or part in " ".join(shown.split()), label
