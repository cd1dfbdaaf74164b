"""The mails, as claims about what their readers and their mail programs find in them."""

import re
from collections.abc import Callable
from dataclasses import replace
from email import message_from_bytes, policy
from email.header import Header, decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import read_practice
from shared.domain.score import SCORES, Category
from shared.domain.settings import AlertDetail, Clinic, Practice, ReviewLink
from shared.mail import letters, staff_letters
from shared.mail.layout import clean_header
from shared.mail.mailer import Mail
from shared.mail.staff_letters import AlertFacts, ClinicDay
from tests.environment import ENVIRONMENT
from tests.reading import read

PRACTICE = read_practice(ENVIRONMENT)
FULL = replace(PRACTICE, alert_detail=AlertDetail.FULL)
CLINIC = replace(
    PRACTICE.clinic("north"), name="Riverside North", phone="(518) 555-0134", admins=("a@n.example", "b@n.example")
)
SURVEY_LINK = "https://care.example.com/s/" + "a" * 52
UNSUBSCRIBE_LINK = "https://care.example.com/u/" + "a" * 52
LANGUAGES = ("en", "es")
FACTS = AlertFacts(
    survey_id="abcdefghijklmnopqrstuvwxyz",
    category=Category.DETRACTOR,
    score=3,
    comment="I waited forty minutes.\nNobody told me why.",
    touchpoint="visit 6",
    answered_at_local="Monday, March 9, at 2:30 PM",
    patient_name="Eleanor Whitfield",
    patient_email="eleanor@example.com",
    patient_phone="(518) 555-0199",
)
PASSIVE = replace(FACTS, category=Category.PASSIVE, score=7)
HOSTILE = st.text(alphabet=st.characters(codec="utf-8")) | st.sampled_from(
    [
        "Ada\r\nBcc: everybody@example.com",
        "Ada\nSubject: other",
        "Ada\u2028Bcc: everybody@example.com",
        "Ada\x85Bcc: x\x0bBcc: y\x00",
        '"><script>alert(1)</script>',
        "</title></style><script>alert(1)</script>",
        "{practice.admins}{0}{}",
        "\u202eevil\u202c مرحبا",
        '"Quoted" <person@example.com>, other@example.com',
        "Clínica de Rehabilitación y Terapia Física del Río Hudson " * 3,
    ]
)


def _survey(lang: str = "en", practice: Practice = PRACTICE, clinic: Clinic = CLINIC, **differences: object) -> Mail:
    return letters.survey(
        lang,
        practice,
        clinic,
        **{
            "first_name": "Ada",
            "to": "ada@example.com",
            "survey_link": SURVEY_LINK,
            "unsubscribe_link": UNSUBSCRIBE_LINK,
            **differences,
        },  # type: ignore[arg-type]
    )


def _review_request(
    lang: str = "en", practice: Practice = PRACTICE, clinic: Clinic = CLINIC, first_name: str = "Ada"
) -> Mail:
    return letters.review_request(
        lang, practice, clinic, first_name=first_name, to="ada@example.com", unsubscribe_link=UNSUBSCRIBE_LINK
    )


def _patient_mails(
    lang: str, practice: Practice = PRACTICE, clinic: Clinic = CLINIC, first_name: str = "Ada"
) -> list[Mail]:
    return [
        _survey(lang, practice, clinic, first_name=first_name),
        _survey(lang, practice, clinic, first_name=first_name, is_reminder=True),
        _review_request(lang, practice, clinic, first_name),
    ]


def _staff_mails(practice: Practice = PRACTICE, clinic: Clinic = CLINIC, facts: AlertFacts = FACTS) -> list[Mail]:
    passive = replace(facts, category=Category.PASSIVE)
    return [
        staff_letters.detractor_alert(practice, clinic, facts),
        staff_letters.detractor_alert(
            practice, clinic, replace(facts, changed=True), dashboard_link="https://d.example/"
        ),
        staff_letters.passive_alert(practice, clinic, passive),
        staff_letters.safety_alert(practice, clinic, replace(facts, category=Category.PROMOTER)),
        staff_letters.digest(
            practice, [ClinicDay(clinic.name, (passive, passive))], to=clinic.admins, day="Monday, March 9"
        ),
    ]


def _on_the_wire(mail: Mail) -> EmailMessage:
    """The mail as a mail program reads it: its headers stand there exactly as they are handed to SES."""
    headers = {
        "From": mail.sender,
        "To": ", ".join(mail.to),
        "Subject": Header(mail.subject, "utf-8").encode(linesep="\r\n"),
        **mail.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    received = message_from_bytes(f"{lines}\r\n{mail.text}".encode(), policy=policy.default)
    assert isinstance(received, EmailMessage)
    return received


ALL_MAILS = [(lang, i) for lang in LANGUAGES for i in range(3)]


@pytest.mark.parametrize(("lang", "i"), ALL_MAILS)
def test_every_patient_mail_is_a_complete_document_without_pictures_or_foreign_parts(lang: str, i: int) -> None:
    mail = _patient_mails(lang)[i]
    found = read(mail.html)
    assert found.one("html").attributes["lang"] == lang
    assert found.one("div", role="article").attributes["lang"] == lang
    assert found.one("title").text
    assert found.one("h1").text
    assert not [e for e in found.elements if e.tag in {"img", "script", "link", "iframe", "form", "input"}]
    assert not re.search(r"url\(|@import|@font-face|\{[a-z_]+\}", mail.html + mail.text)
    assert all(table.attributes["role"] == "presentation" for table in found.all("table"))
    assert len(mail.html.encode()) < 100_000  # Gmail cuts at 102 KB


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("is_reminder", [False, True])
def test_the_survey_has_eleven_links_in_two_rows_each_with_a_full_name_and_room_for_a_thumb(
    lang: str, is_reminder: bool
) -> None:
    mail = _survey(lang, is_reminder=is_reminder)
    found = read(mail.html)
    links = [a for a in found.all("a") if "?score=" in a.attributes["href"]]
    assert [a.attributes["href"] for a in links] == [f"{SURVEY_LINK}?score={score}" for score in SCORES]
    assert [a.text for a in links] == [str(score) for score in SCORES]
    word = {"en": "Score {} out of 10", "es": "Puntuación {} de 10"}[lang]
    for score, link in zip(SCORES, links, strict=True):
        assert link.attributes["aria-label"].startswith(word.format(score))
    rows = re.findall(r"<tr>(?:(?!</tr>).)*\?score=.*?</tr>", mail.html, re.DOTALL)
    assert [row.count("?score=") for row in rows] == [6, 5]
    cells = found.all("td", **{"class": "score"})
    assert all(int(cell.attributes["width"]) >= 44 and int(cell.attributes["height"]) >= 44 for cell in cells)


@pytest.mark.parametrize(
    ("lang", "ends"),
    [("en", ["not at all likely", "extremely likely"]), ("es", ["nada probable", "sumamente probable"])],
)
def test_the_ends_of_the_scale_are_said_in_words(lang: str, ends: list[str]) -> None:
    mail = _survey(lang)
    for part in (read(mail.html).one("body").text, mail.text):
        assert f"0 – {ends[0]}" in part
        assert f"10 – {ends[1]}" in part


@pytest.mark.parametrize(("lang", "i"), ALL_MAILS)
def test_the_text_part_says_the_same_as_the_html(lang: str, i: int) -> None:
    mail = _patient_mails(lang)[i]
    found = read(mail.html)
    for paragraph in found.all("p") + found.all("h1"):
        for sentence in re.split(r"(?<=[.?!,:])\s+|\n", paragraph.text.strip()):
            assert sentence in mail.text
    links = {a.attributes["href"] for a in found.all("a") if not a.attributes["href"].startswith("tel:")}
    assert links == set(re.findall(r"https://\S+", mail.text))


def test_each_score_has_a_line_of_its_own_in_the_text() -> None:
    lines = _survey().text.splitlines()
    assert [line.rpartition(": ")[2] for line in lines if "?score=" in line] == [
        f"{SURVEY_LINK}?score={score}" for score in SCORES
    ]


@pytest.mark.parametrize(("lang", "i"), ALL_MAILS)
def test_every_patient_mail_can_be_answered_and_stopped(lang: str, i: int) -> None:
    mail = _patient_mails(lang)[i]
    assert mail.to == ("ada@example.com",)
    assert mail.reply_to == PRACTICE.reply_to
    assert mail.headers["List-Unsubscribe"] == f"<{UNSUBSCRIBE_LINK}>"
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail.headers["List-Id"] == "<surveys.riverside.example.com>"
    (link,) = read(mail.html).all("a", href=UNSUBSCRIBE_LINK)
    assert link.text == {"en": "Unsubscribe from these emails", "es": "Cancelar la suscripción a estos correos"}[lang]
    for part in (unescape(mail.html), mail.text):
        assert PRACTICE.postal_address in part
        assert {"en": "You receive this email because", "es": "Recibe este correo porque"}[lang] in part


def test_a_reminder_says_that_it_is_the_only_one_and_a_first_mail_does_not() -> None:
    assert "only reminder" in _survey(is_reminder=True).text
    assert "reminder" not in (_survey().text + _survey().subject)


def test_the_survey_says_that_tapping_opens_a_page_whom_to_call_and_that_it_is_confidential() -> None:
    text = _survey().text
    assert "Tapping a number opens a page where you can add a comment and send your answer." in text
    assert "confidential" in text
    assert "If something is urgent, please call Riverside North at (518) 555-0134." in text
    assert "urgent" not in _survey(clinic=replace(CLINIC, phone="")).text
    assert "anonym" not in text.lower()


def test_a_patient_without_a_name_is_greeted_all_the_same() -> None:
    assert _survey(first_name=" ").text.startswith("Hello,\n")
    assert _survey("es", first_name="María").text.startswith("Hola, María:\n")


def test_a_review_request_shows_the_clinic_s_own_links_and_no_score() -> None:
    links = (ReviewLink("Google", "https://g.example/a?b=1&c=2"), ReviewLink("Yelp", "https://y.example/"))
    mail = _review_request(clinic=replace(CLINIC, review_links=links))
    found = read(mail.html)
    assert {a.text for a in found.all("a")} >= {"Write a review on Google", "Write a review on Yelp"}
    assert {a.attributes["href"] for a in found.all("a")} == {*(link.url for link in links), UNSUBSCRIBE_LINK}
    assert not re.search(r"score|\b(9|10) out|star|reward|gift|discount", mail.text, re.IGNORECASE)


def test_a_review_request_without_review_links_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no review links for clinic north"):
        _review_request(clinic=replace(CLINIC, review_links=()))


def test_tags_are_passed_on_untouched() -> None:
    assert _survey(tags={"message_id": "m1"}).tags == {"message_id": "m1"}
    assert staff_letters.detractor_alert(PRACTICE, CLINIC, FACTS, tags={"survey_id": "s1"}).tags == {"survey_id": "s1"}


@given(text=HOSTILE)
def test_no_name_can_add_a_header_or_an_element_to_a_patient_s_mail(text: str) -> None:
    practice = replace(PRACTICE, name=text, postal_address=text)
    clinic = replace(CLINIC, name=text, phone=text, review_links=(ReviewLink(text, "https://g.example/"),))
    for mail, plain in zip(_patient_mails("en", practice, clinic, text), _patient_mails("en"), strict=True):
        _assert_harmless(mail, plain)


@given(text=HOSTILE)
def test_no_comment_or_record_can_add_a_header_or_an_element_to_a_staff_mail(text: str) -> None:
    practice, clinic = replace(FULL, name=text), replace(CLINIC, name=text)
    facts = replace(
        FACTS, comment=text, touchpoint=text, patient_name=text, patient_email=text, patient_phone=text, survey_id=text
    )
    for mail, plain in zip(_staff_mails(practice, clinic, facts), _staff_mails(FULL), strict=True):
        _assert_harmless(mail, plain)


def _assert_harmless(mail: Mail, plain: Mail) -> None:
    message = _on_the_wire(mail)
    assert set(message.keys()) == set(_on_the_wire(plain).keys())
    (sender,) = message["From"].addresses
    assert sender.addr_spec == PRACTICE.sender
    assert [address.addr_spec for address in message["To"].addresses] == list(plain.to)
    for value in (mail.sender, mail.subject, *mail.headers.values()):
        assert value.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", value)
    assert all(value.isascii() for value in (mail.sender, *mail.headers.values()))
    ours = {e.tag for e in read(plain.html).elements} | {"br", "a"}
    found = read(mail.html).elements
    assert {e.tag for e in found} <= ours
    assert not [e for e in found if any(name.startswith("on") for name in e.attributes)]
    assert all(
        e.attributes["href"].startswith(("https://", "tel:", "mailto:")) for e in found if "href" in e.attributes
    )


@pytest.mark.parametrize(
    "name", ["Riverside Physical Therapy", 'Rehab, Inc. "The" <Best>', "Clínica del Río", "复健 " * 30]
)
def test_the_practice_s_name_arrives_as_the_sender_s_name(name: str) -> None:
    display_name, address = parseaddr(_survey(practice=replace(PRACTICE, name=name)).sender)
    assert str(make_header(decode_header(display_name))) == name.strip()
    assert address == PRACTICE.sender


@given(st.text())
def test_a_clean_header_is_one_line_and_clean_already(text: str) -> None:
    cleaned = clean_header(text)
    assert len(cleaned.splitlines()) <= 1
    assert clean_header(cleaned) == cleaned
    cleaned.encode()  # no lone surrogate is left


def test_a_clean_header_turns_no_text_around() -> None:
    assert clean_header("Ada\u202e moc.elpmaxe\u2066\u200f") == "Ada moc.elpmaxe"


def test_a_clean_header_keeps_what_names_are_made_of() -> None:
    for name in ("José Ñuñez-O'Brien", "مريم", "王小明", "Ana 👩‍⚕️"):
        assert clean_header(name) == name


@pytest.mark.parametrize("make", [staff_letters.detractor_alert, staff_letters.passive_alert])
def test_a_minimal_alert_names_group_clinic_moment_and_reference_and_no_person(make: Callable[..., Mail]) -> None:
    facts = FACTS if make is staff_letters.detractor_alert else PASSIVE
    mail = make(PRACTICE, CLINIC, facts)
    group = "Detractor (0–6)" if make is staff_letters.detractor_alert else "Passive (7–8)"
    for part in (unescape(mail.html), mail.text):
        assert group in part
        assert "Riverside North" in part
        assert FACTS.answered_at_local in part
        assert FACTS.survey_id in part
    _assert_names_nobody(mail)
    assert mail.to == CLINIC.admins
    assert mail.reply_to == PRACTICE.reply_to


def _assert_names_nobody(mail: Mail) -> None:
    for secret in ("Eleanor", "Whitfield", "eleanor@", "555-0199", "forty", "visit 6", "3 of 10", "7 of 10"):
        assert secret not in mail.subject + mail.text + unescape(mail.html)


@pytest.mark.parametrize("mail", _staff_mails(FULL), ids=["alert", "changed", "passive", "safety", "digest"])
def test_a_full_staff_mail_says_who_and_what_but_never_in_its_subject(mail: Mail) -> None:
    for part in (unescape(mail.html), mail.text):
        assert "3 of 10" in part
        assert "forty minutes." in part
        assert "Eleanor Whitfield" in part
    assert 'href="tel:5185550199"' in mail.html
    assert 'href="mailto:eleanor@example.com"' in mail.html
    assert "Eleanor" not in mail.subject
    assert "3 of 10" not in mail.subject


def test_the_staff_are_told_what_to_do() -> None:
    mail = staff_letters.detractor_alert(PRACTICE, CLINIC, FACTS)
    for part in (mail.text, mail.html):
        assert "reach out once" in part
        assert "Write down that you did" in part


def test_a_changed_answer_is_told_apart() -> None:
    assert "changed" in staff_letters.detractor_alert(PRACTICE, CLINIC, replace(FACTS, changed=True)).text
    assert "changed" not in staff_letters.detractor_alert(PRACTICE, CLINIC, FACTS).text


def test_staff_mails_link_to_the_dashboard_if_there_is_one() -> None:
    with_link = staff_letters.detractor_alert(PRACTICE, CLINIC, FACTS, dashboard_link="https://staff.example/c?a=1&b=2")
    assert read(with_link.html).one("a").attributes["href"] == "https://staff.example/c?a=1&b=2"
    assert "https://staff.example/c?a=1&b=2" in with_link.text
    assert not read(staff_letters.detractor_alert(PRACTICE, CLINIC, FACTS).html).all("a")


def test_a_comment_cannot_pass_for_a_line_of_the_alert() -> None:
    facts = replace(FACTS, comment="fine\nPatient: Somebody Else")
    lines = staff_letters.detractor_alert(FULL, CLINIC, facts).text.splitlines()
    assert [line for line in lines if line.startswith("Patient:")] == ["Patient: Eleanor Whitfield"]


def test_missing_facts_are_said_to_be_missing() -> None:
    facts = replace(FACTS, comment="", patient_name="", patient_email="", patient_phone="")
    text = staff_letters.detractor_alert(FULL, CLINIC, facts).text
    assert "Comment: none" in text
    assert "Patient: no name on record" in text
    assert "Email: none on record" in text
    assert "Phone: none on record" in text


def test_the_digest_counts_passives_by_clinic() -> None:
    yesterday = {Category.PROMOTER: 5, Category.DETRACTOR: 1}
    days = [ClinicDay("North", (PASSIVE, PASSIVE), yesterday), ClinicDay("South", (PASSIVE,))]
    mail = staff_letters.digest(PRACTICE, days, to=("owner@example.com",), day="Monday, March 9")
    assert mail.subject == "3 passive answers on Monday, March 9"
    assert mail.to == ("owner@example.com",)
    assert [h.text for h in read(mail.html).all("h2")] == ["North: 2", "South: 1"]
    assert "North: 2\nYesterday: 5 promoters, 0 passives, 1 detractor." in mail.text
    assert "South: 1\nYesterday: no answers." in mail.text
    assert "Yesterday: 5 promoters, 0 passives, 1 detractor." in mail.html
    assert mail.text.count(PASSIVE.survey_id) == 3
    _assert_names_nobody(mail)
    one = staff_letters.digest(PRACTICE, days[1:], to=("owner@example.com",), day="Monday, March 9")
    assert one.subject == "1 passive answer on Monday, March 9"


def test_an_alert_says_what_counts_now_if_the_answer_was_taken_back() -> None:
    facts = replace(FACTS, changed=True, since=Category.PROMOTER)
    mail = staff_letters.detractor_alert(PRACTICE, CLINIC, facts)
    assert "changed this answer since. What counts now: Promoter (9–10)." in mail.text
    assert "What counts now: Promoter" in mail.html


def test_staff_mail_is_not_marked_as_automatic() -> None:
    # Help desks drop such mail, and an alert must arrive.
    assert all(not mail.headers for mail in _staff_mails())
    assert _survey().headers["Auto-Submitted"] == "auto-generated"


def test_the_longest_alert_stays_under_what_mail_programs_cut() -> None:
    facts = replace(FACTS, comment="👍" * 4000)
    assert len(staff_letters.detractor_alert(FULL, CLINIC, facts).html.encode()) < 100_000
