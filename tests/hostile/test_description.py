"""docs/api.yaml says what there is: the template's routes, the dashboard's, and the fields of its forms."""

from typing import Any

from functions.serve_dashboard import clinics_page, playbook_page, practice_page, themes_page, wording_page
from functions.serve_dashboard.routes import NOBODY_YET, ROUTES
from functions.serve_dashboard.settings_forms import Choice
from tests.hostile.gateway import description, routes


def described(tag: str) -> set[tuple[str, str]]:
    return {
        (method, path)
        for path, operations in description()["paths"].items()
        for method, operation in operations.items()
        if method in ("get", "post", "put", "patch", "delete", "head", "options") and tag in operation["tags"]
    }


def test_the_patients_side_is_what_the_template_routes() -> None:
    assert described("patients") == {(method, path) for method, path, _ in routes("PatientApi")}


def test_the_staffs_side_is_what_the_dashboard_routes() -> None:
    there = {(route.method.lower(), route.path) for route in ROUTES}
    assert {(m, with_names(p)) for m, p in described("staff") | described("figures")} == {
        (m, with_names(p)) for m, p in there
    }


def with_names(path: str) -> str:
    """A path whose parts have no name of their own."""
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))


def test_the_gateway_lets_every_page_and_form_of_the_staff_through() -> None:
    through = {(method, path) for method, path, _ in routes("StaffApi")}
    assert through == {("get", "/"), ("get", "/{proxy+}"), ("post", "/{proxy+}")}
    assert {(route.method.lower(), route.path) for route in ROUTES if route.path == "/"} == {("get", "/")}


def test_whoever_must_sign_in_is_described_so() -> None:
    open_to_all = {(route.method.lower(), with_names(route.path)) for route in ROUTES if route.roles is NOBODY_YET}
    for path, operations in description()["paths"].items():
        for method in ("get", "post"):
            if method in operations and "patients" not in operations[method]["tags"]:
                is_open = (method, with_names(path)) in open_to_all
                assert ("security" in operations[method]) is not is_open, (method, path)


def test_every_field_of_the_settings_is_described() -> None:
    sections = practice_page.SECTIONS.values()
    assert fields("PracticeSettings") == names(choice for section in sections for choice in section.choices)
    assert fields("ClinicSettings") == names((*clinics_page._FOR_OWNERS, *clinics_page._FOR_ALL))
    assert fields("Wording") == names(wording_page._CHOICES) | {"do"}
    assert fields("Playbook") == names(playbook_page._CHOICES)
    assert fields("Themes") == names((themes_page._CHOICE,))


def names(choices: Any) -> set[str]:
    found = set[str]()
    for choice in choices:
        assert isinstance(choice, Choice)
        found.add(choice.name)
        if choice.kind == "touchpoints":
            kinds = ("visit", "days_after_evaluation", "days_after_discharge", "lapsed")
            found |= {f"{choice.name}.{kind}" for kind in kinds}
    return found


def fields(form: str) -> set[str]:
    body = description()["components"]["requestBodies"][form]["content"]["application/x-www-form-urlencoded"]
    return set(body["schema"]["properties"]) - {"made_from", "default"}
