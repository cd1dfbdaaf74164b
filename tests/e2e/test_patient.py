"""A patient with a phone: reads the mail, taps a number, says why, changes their mind, unsubscribes."""

import re
from functools import cache
from importlib import resources

import pytest
from playwright.sync_api import FrameLocator, Page, Response, expect

from tests.integration.practice import ADMIN, Mail, Person, Practice, at, evaluation, eventually, someone

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def asked(practice: Practice, **columns: str) -> tuple[Person, Mail]:
    """A new patient and the survey they got."""
    person = someone("Ana" if columns.get("language") else "Ada", **columns)
    [mail] = practice.asked(person)
    return person, mail


def open_mail(page: Page, practice: Practice, address: str) -> FrameLocator:
    """Find the newest mail to this address in the mailbox and open it."""
    page.goto(practice.stack.mailbox_url)
    page.get_by_role("link").filter(has_text=address).first.click()
    return page.frame_locator("iframe")


def goto(page: Page, practice: Practice, path: str) -> Response:
    response = page.goto(practice.stack.public_url + path)
    assert response
    return response


def send_button(page: Page, label: str):
    return page.get_by_role("button", name=label, exact=True)


@cache
def axe() -> str:
    """The script of axe-core, which the package carries."""
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


def assert_accessible(page: Page, *rules: str) -> None:
    page.evaluate(axe())  # not as an element: the pages allow no script
    found = page.evaluate("tags => axe.run({runOnly: tags})", [*WCAG, *rules])
    assert found["passes"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == []


def assert_no_sideways_scrolling(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


class TestTheLoop:
    def test_from_the_mail_to_the_alert_and_a_change_of_mind(self, practice, page):
        person, mail = asked(practice)
        letter = open_mail(page, practice, person.email)
        letter.get_by_role("link", name="Score 3 out of 10", exact=True).click()

        expect(page.get_by_role("heading", level=1)).to_contain_text("recommend")
        expect(page.get_by_role("radio", name="3", exact=True)).to_be_checked()
        expect(page.get_by_text("Not sent yet.")).to_be_visible()
        expect(send_button(page, "Send my answer: 3")).to_be_visible()
        assert "score" not in practice.survey(mail)  # a tap in a mail sends nothing

        page.get_by_label("What is the main reason for your answer?").fill("The wait was long.")
        send_button(page, "Send my answer: 3").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("will be in touch")
        expect(page.get_by_text("You answered 3.")).to_be_visible()
        expect(page.get_by_role("link", name=re.compile("Write a review"))).to_be_visible()
        assert practice.survey(mail)["comment"] == "The wait was long."

        eventually(lambda: practice.mails(ADMIN), "the alert")
        alert = open_mail(page, practice, ADMIN)
        expect(alert.get_by_role("heading", level=1)).to_contain_text("low score")
        expect(alert.locator("body")).not_to_contain_text("The wait was long.")

        goto(page, practice, mail.score_path(3))
        expect(page.get_by_text("You answered 3.")).to_be_visible()
        expect(page.locator("body")).not_to_contain_text("The wait was long.")
        page.get_by_text("9", exact=True).click()
        send_button(page, "Send my answer: 9").click()
        expect(page.get_by_text("You answered 9.")).to_be_visible()
        assert practice.survey(mail)["category"] == "promoter"

    def test_changing_the_answer_from_the_page_of_thanks(self, practice, page):
        _, mail = asked(practice)
        goto(page, practice, mail.score_path(7))
        send_button(page, "Send my answer: 7").click()
        page.get_by_role("link", name="Change my answer").click()
        expect(page.get_by_role("radio", name="7", exact=True)).to_be_checked()
        page.get_by_text("8", exact=True).click()
        send_button(page, "Send my answer: 8").click()
        expect(page.get_by_text("You answered 8.")).to_be_visible()

    def test_the_reminder_is_answered_like_the_survey(self, practice, page):
        person = someone()
        practice.export([person], [evaluation(person, at("2026-03-02"))])
        practice.send(at("2026-03-02", "16:00"))
        practice.send(at("2026-03-05", "16:00"))
        letter = open_mail(page, practice, person.email)
        expect(letter.locator("body")).to_contain_text("only reminder")
        letter.get_by_role("link", name=re.compile("^Score 10 out of 10")).click()
        send_button(page, "Send my answer: 10").click()
        expect(page.get_by_text("You answered 10.")).to_be_visible()

    def test_unsubscribing_from_the_mail(self, practice, page):
        person, mail = asked(practice)
        open_mail(page, practice, person.email).get_by_role("link", name=re.compile("Unsubscribe")).click()
        expect(page.get_by_text("You are not unsubscribed yet.")).to_be_visible()
        page.get_by_role("button", name="Unsubscribe").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("You are unsubscribed")
        practice.send(at("2026-03-05", "17:00"))
        assert practice.kinds(person) == ["survey"]
        goto(page, practice, mail.score_path(9))
        expect(send_button(page, "Send my answer: 9")).to_be_visible()  # the answer is welcome all the same

    def test_a_mistake_is_said_in_words_and_nothing_typed_is_lost(self, practice, page):
        _, mail = asked(practice)
        goto(page, practice, f"/s/{mail.token}")
        page.get_by_role("textbox").fill("<script>alert(1)</script>")
        page.get_by_role("button").click()
        expect(page.get_by_text("Please choose a number from 0 to 10.")).to_be_visible()
        expect(page.get_by_role("textbox")).to_have_value("<script>alert(1)</script>")
        page.get_by_text("5", exact=True).click()
        send_button(page, "Send my answer: 5").click()
        expect(page.get_by_text("You answered 5.")).to_be_visible()
        assert practice.survey(mail)["comment"] == "<script>alert(1)</script>"

    def test_in_spanish_all_the_way(self, practice, page):
        person, mail = asked(practice, language="es")
        letter = open_mail(page, practice, person.email)
        letter.get_by_role("link").filter(has_text=re.compile("^4$")).click()
        expect(page.locator("html")).to_have_attribute("lang", "es")
        expect(send_button(page, "Enviar mi respuesta: 4")).to_be_visible()
        page.get_by_role("textbox").fill("Mucha espera. ¡Ñandú!")
        send_button(page, "Enviar mi respuesta: 4").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Gracias")
        assert practice.survey(mail)["comment"] == "Mucha espera. ¡Ñandú!"
        goto(page, practice, mail.unsubscribe_path)
        expect(page.locator("html")).to_have_attribute("lang", "es")


class TestEverybody:
    def test_without_javascript(self, practice, open_browser):
        page = open_browser(javascript=False)
        person, _ = asked(practice)
        letter = open_mail(page, practice, person.email)
        letter.get_by_role("link", name="Score 6 out of 10", exact=True).click()
        expect(send_button(page, "Send my answer: 6")).to_be_visible()
        page.get_by_text("2", exact=True).click()
        expect(send_button(page, "Send my answer: 2")).to_be_visible()  # the label follows the choice
        page.get_by_role("textbox").fill("No script needed")
        send_button(page, "Send my answer: 2").click()
        expect(page.get_by_text("You answered 2.")).to_be_visible()

    def test_with_the_keyboard_alone(self, practice, page):
        _, mail = asked(practice)
        goto(page, practice, mail.score_path(5))
        for _ in range(20):
            if page.evaluate("document.activeElement.value") == "5":
                break
            page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("radio", name="6", exact=True)).to_be_checked()
        page.keyboard.press("Tab")
        expect(page.get_by_role("textbox")).to_be_focused()
        page.keyboard.type("By keyboard")
        page.keyboard.press("Tab")
        button = send_button(page, "Send my answer: 6")
        expect(button).to_be_focused()
        outline = button.evaluate(
            "element => getComputedStyle(element).outlineStyle + getComputedStyle(element).boxShadow"
        )
        assert outline != "nonenone"  # the focus can be seen
        page.keyboard.press("Enter")
        expect(page.get_by_text("You answered 6.")).to_be_visible()
        assert practice.survey(mail)["comment"] == "By keyboard"

    @pytest.mark.parametrize("width", [320, 390])
    @pytest.mark.parametrize("language", ["en", "es"])
    def test_every_page_is_accessible_and_fits_a_phone(self, practice, open_browser, width, language):
        page = open_browser(width, locale=language)
        _, mail = asked(practice, language=language)
        for path, status in [
            (mail.score_path(9), 200),
            (f"/s/{mail.token}", 200),
            (mail.unsubscribe_path, 200),
            (f"/s/{'a' * 52}", 404),
        ]:
            assert goto(page, practice, path).status == status
            check_page(page)
        goto(page, practice, f"/s/{mail.token}")
        page.get_by_role("button").click()  # no number: the page of mistakes
        expect(page.locator("#problem")).to_be_visible()
        check_page(page)
        goto(page, practice, mail.score_path(1))
        page.get_by_role("textbox").fill("word" * 200)
        check_page(page)
        page.get_by_role("button").click()  # thanks
        expect(page.get_by_role("textbox")).to_have_count(0)
        check_page(page)
        goto(page, practice, f"/s/{mail.token}")  # answered before
        check_page(page)
        goto(page, practice, mail.unsubscribe_path)
        page.get_by_role("button").click()
        expect(page.get_by_role("button")).to_have_count(0)
        check_page(page)

    @pytest.mark.parametrize("width", [320, 390])
    def test_what_is_tapped_is_large_enough(self, practice, open_browser, width):
        page = open_browser(width)
        _, mail = asked(practice)
        goto(page, practice, mail.score_path(9))
        boxes = [page.locator("label", has=page.locator(f"#score-{score}")).bounding_box() for score in range(11)]
        boxes.append(page.get_by_role("button").bounding_box())
        for box in boxes:
            assert box
            assert min(box["width"], box["height"]) >= 44

    @pytest.mark.parametrize("width", [320, 390, 1280])
    @pytest.mark.parametrize("language", ["en", "es"])
    def test_the_mail_itself_fits_and_is_accessible(self, practice, open_browser, width, language):
        page = open_browser(width)
        _, mail = asked(practice, language=language)
        page.set_content(mail.html)
        assert_accessible(page)  # landmarks and the first heading are those of the mail program
        assert_no_sideways_scrolling(page)
        for score in range(11):
            box = page.locator(f'a[href$="?score={score}"]').bounding_box()
            assert box
            assert min(box["width"], box["height"]) >= 44

    def test_nothing_is_loaded_from_anywhere_else(self, practice, page):
        _, mail = asked(practice)
        requested: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        goto(page, practice, mail.score_path(9))
        page.get_by_role("button").click()
        expect(page.get_by_role("textbox")).to_have_count(0)
        assert {url.split("?")[0] for url in requested} == {f"{practice.stack.public_url}/s/{mail.token}"}
        assert page.context.cookies() == []

    def test_a_reloaded_page_of_thanks_answers_once(self, practice, page):
        _, mail = asked(practice)
        goto(page, practice, mail.score_path(9))
        page.get_by_role("button").click()
        expect(page.get_by_text("You answered 9.")).to_be_visible()
        page.reload()
        expect(page.get_by_text("You answered 9.")).to_be_visible()
        assert practice.survey(mail)["version"] == 1


def check_page(page: Page) -> None:
    """What must hold of every page a patient sees."""
    assert_accessible(page, "best-practice")
    assert_no_sideways_scrolling(page)
    assert page.locator("h1").count() == 1
    assert page.title()
