"""The user pool that staff sign in through, as an owner sees and changes it."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.config import setting
from shared.domain.staff import Role, role_of


class NotTaken(Exception):
    """The user pool did not do it; the message says why, in words for people."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the staff. `user_id` stands in sessions and cases, `username` is what the pool's calls take."""

    user_id: str
    username: str
    name: str
    email: str
    role: Role | None  # None may not sign in
    clinics: tuple[str, ...] = ()
    therapist_id: str = ""
    is_enabled: bool = True
    has_signed_in: bool = True
    groups: tuple[str, ...] = ()  # the role is the most that any of them allows


@cache
def client() -> Any:
    """One client a process, made when first needed."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
    return boto3.session.Session().client("cognito-idp", config=config)


def people() -> list[Person]:
    """Everybody whom the pool knows, by name."""
    groups: dict[str, list[str]] = {}
    for role in Role:
        for user in _all("list_users_in_group", GroupName=role.value):
            groups.setdefault(user["Username"], []).append(role.value)
    found = (_person(user, groups.get(user["Username"], [])) for user in _all("list_users"))
    return sorted(found, key=lambda person: (person.name.casefold(), person.email))


def invite(person: Person) -> None:
    """Make a sign-in; the pool mails a temporary password to the address."""
    values = {**_attributes(person), "email": person.email, "email_verified": "true"}
    created = _call(
        "admin_create_user",
        Username=person.email,
        UserAttributes=[{"Name": name, "Value": value} for name, value in values.items() if value],
        DesiredDeliveryMediums=["EMAIL"],
    )
    if person.role:
        _call("admin_add_user_to_group", Username=created["User"]["Username"], GroupName=person.role.value)


def change(person: Person, wanted: Person) -> None:
    """Give somebody another name, role or scope. Rights are taken before any are given, should it break off between."""
    for group in person.groups:
        if group != wanted.role:
            _call("admin_remove_user_from_group", Username=person.username, GroupName=group)
    _call(
        "admin_update_user_attributes",
        Username=person.username,
        UserAttributes=[{"Name": name, "Value": value} for name, value in _attributes(wanted).items()],
    )
    if wanted.role and wanted.role.value not in person.groups:
        _call("admin_add_user_to_group", Username=person.username, GroupName=wanted.role.value)


def disable(person: Person) -> None:
    """Let nobody sign in as this person any more."""
    _call("admin_disable_user", Username=person.username)
    _call("admin_user_global_sign_out", Username=person.username)


def enable(person: Person) -> None:
    """Let them sign in again."""
    _call("admin_enable_user", Username=person.username)


def remove(person: Person) -> None:
    """Take a sign-in out of the pool, its authenticator app with it."""
    _call("admin_delete_user", Username=person.username)


_REFUSALS = {
    "UsernameExistsException": "There is somebody with this address already.",
    "UserNotFoundException": "This sign-in is not there any more.",
    "InvalidParameterException": "Amazon Cognito does not take the address or the name. Please check both.",
    "CodeDeliveryFailureException": "The invitation could not be mailed. Please check the address.",
    "LimitExceededException": "Amazon Cognito takes no more of these at the moment. Please try again later.",
    "TooManyRequestsException": "Amazon Cognito is busy. Please try again in a minute.",
}


def _call(method: str, **arguments: Any) -> Any:
    from botocore.exceptions import ClientError

    try:
        return getattr(client(), method)(UserPoolId=setting("USER_POOL_ID"), **arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in _REFUSALS:
            raise
        raise NotTaken(_REFUSALS[code]) from None


def _all(method: str, **arguments: Any) -> list[dict[str, Any]]:
    pages = client().get_paginator(method).paginate(UserPoolId=setting("USER_POOL_ID"), **arguments)
    return [user for page in pages for user in page["Users"]]


def _attributes(person: Person) -> dict[str, str]:
    """What the owner chooses; an empty one takes a former value away."""
    return {
        "name": person.name,
        "custom:clinics": ";".join(person.clinics),
        "custom:therapist_id": person.therapist_id,
    }


def _person(user: dict[str, Any], groups: list[str]) -> Person:
    values = {attribute["Name"]: attribute["Value"] for attribute in user["Attributes"]}
    email = values.get("email", "")
    return Person(
        user_id=values.get("sub", user["Username"]),
        username=user["Username"],
        name=values.get("name") or email,
        email=email,
        role=role_of(groups),
        clinics=tuple(filter(None, map(str.strip, values.get("custom:clinics", "").split(";")))),
        therapist_id=values.get("custom:therapist_id", ""),
        is_enabled=user["Enabled"],
        has_signed_in=user["UserStatus"] != "FORCE_CHANGE_PASSWORD",
        groups=tuple(groups),
    )
