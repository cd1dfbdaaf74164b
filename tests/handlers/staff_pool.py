"""Amazon Cognito's administrative calls as far as the dashboard uses them: moto's need a package that is not pinned."""

# ruff: noqa: N803 (the names of the arguments are Amazon's)

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError


@dataclass
class FakeUserPool:
    """Users by user name, which is a made id as in a pool whose people sign in with their address."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)  # method -> error code
    made: int = 0

    def add(self, email: str, group: str, **attributes: str) -> str:
        """Somebody who has signed in before; returns the user name."""
        values = {"email": email, **attributes}
        pairs = [{"Name": name.replace("custom_", "custom:"), "Value": value} for name, value in values.items()]
        username = str(self.admin_create_user("pool", email, pairs)["User"]["Username"])
        self.users[username]["UserStatus"] = "CONFIRMED"
        if group:
            self.groups.setdefault(group, []).append(username)
        self.calls.clear()
        return username

    def attribute(self, username: str, name: str) -> str:
        """What the pool holds."""
        return {pair["Name"]: pair["Value"] for pair in self.users[username]["Attributes"]}.get(name, "")

    def groups_of(self, username: str) -> set[str]:
        """The groups that somebody is in."""
        return {group for group, members in self.groups.items() if username in members}

    def admin_create_user(
        self, UserPoolId: str, Username: str, UserAttributes: list[dict[str, str]], DesiredDeliveryMediums: Any = None
    ) -> Any:
        self._note("admin_create_user")
        if any(self.attribute(username, "email") == Username.lower() for username in self.users):
            raise _error("UsernameExistsException")
        self.made += 1
        username = f"sub-{self.made}"
        self.users[username] = {
            "Username": username,
            "Attributes": [{"Name": "sub", "Value": username}, *UserAttributes],
            "Enabled": True,
            "UserStatus": "FORCE_CHANGE_PASSWORD",
        }
        return {"User": self.users[username]}

    def admin_update_user_attributes(
        self, UserPoolId: str, Username: str, UserAttributes: list[dict[str, str]]
    ) -> None:
        self._note("admin_update_user_attributes")
        changed = {pair["Name"] for pair in UserAttributes}
        kept = [pair for pair in self.users[Username]["Attributes"] if pair["Name"] not in changed]
        self.users[Username]["Attributes"] = [*kept, *(pair for pair in UserAttributes if pair["Value"])]

    def admin_add_user_to_group(self, UserPoolId: str, Username: str, GroupName: str) -> None:
        self._note("admin_add_user_to_group")
        self.groups.setdefault(GroupName, []).append(Username)

    def admin_remove_user_from_group(self, UserPoolId: str, Username: str, GroupName: str) -> None:
        self._note("admin_remove_user_from_group")
        self.groups[GroupName].remove(Username)

    def admin_disable_user(self, UserPoolId: str, Username: str) -> None:
        self._note("admin_disable_user")
        self.users[Username]["Enabled"] = False

    def admin_enable_user(self, UserPoolId: str, Username: str) -> None:
        self._note("admin_enable_user")
        self.users[Username]["Enabled"] = True

    def admin_user_global_sign_out(self, UserPoolId: str, Username: str) -> None:
        self._note("admin_user_global_sign_out")

    def admin_delete_user(self, UserPoolId: str, Username: str) -> None:
        self._note("admin_delete_user")
        del self.users[Username]
        for members in self.groups.values():
            if Username in members:
                members.remove(Username)

    def get_paginator(self, method: str) -> "_Pages":
        return _Pages(self, method)

    def _note(self, method: str) -> None:
        self.calls.append(method)
        if method in self.broken:
            raise _error(self.broken[method])


@dataclass
class _Pages:
    pool: FakeUserPool
    method: str

    def paginate(self, UserPoolId: str, GroupName: str = "") -> Iterator[dict[str, Any]]:
        """Pages of two, so that nobody relies on the first."""
        names = self.pool.groups.get(GroupName, []) if GroupName else list(self.pool.users)
        for start in range(0, max(1, len(names)), 2):
            yield {"Users": [self.pool.users[name] for name in names[start : start + 2]]}


def _error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "Fake")
