"""People who may sign in to the dashboard of a local stack, as an owner would invite them."""

from dataclasses import dataclass
from typing import Any

from shared.domain.staff import Role


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the staff, with what they type to sign in."""

    name: str
    email: str
    password: str
    role: Role
    clinics: tuple[str, ...] = ()
    therapist_id: str = ""


def add_person(cognito: Any, pool_id: str, person: Person) -> None:
    """Put them into the user pool, with a password that they need not change."""
    attributes = {
        "email": person.email,
        "email_verified": "true",
        "name": person.name,
        "custom:clinics": ";".join(person.clinics),
        "custom:therapist_id": person.therapist_id,
    }
    cognito.admin_create_user(
        UserPoolId=pool_id,
        Username=person.email,
        MessageAction="SUPPRESS",
        UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items() if value],
    )
    cognito.admin_set_user_password(UserPoolId=pool_id, Username=person.email, Password=person.password, Permanent=True)
    cognito.admin_add_user_to_group(UserPoolId=pool_id, Username=person.email, GroupName=person.role.value)
