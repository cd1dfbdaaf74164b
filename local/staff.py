"""People who may sign in to the dashboard of a local stack, made as an owner would invite them."""

from collections.abc import Iterable
from dataclasses import dataclass

from local.stack import Stack
from shared.domain.staff import Role


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the staff, with what they type to sign in."""

    name: str
    email: str
    password: str
    role: Role


def add_person(
    stack: Stack,
    person: Person,
    *,
    clinics: Iterable[str] = (),
    therapist_id: str = "",
) -> str:
    """Put them into the user pool, with a password that holds; returns the user's id."""
    pool, cognito = stack.outputs["StaffPoolId"], stack.client("cognito-idp")
    attributes = {
        "email": person.email,
        "email_verified": "true",
        "name": person.name,
        "custom:clinics": ";".join(clinics),
        "custom:therapist_id": therapist_id,
    }
    made = cognito.admin_create_user(
        UserPoolId=pool,
        Username=person.email,
        MessageAction="SUPPRESS",
        UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items() if value],
    )
    cognito.admin_set_user_password(UserPoolId=pool, Username=person.email, Password=person.password, Permanent=True)
    cognito.admin_add_user_to_group(UserPoolId=pool, Username=person.email, GroupName=person.role.value)
    user_id: str = next(each["Value"] for each in made["User"]["Attributes"] if each["Name"] == "sub")
    return user_id
