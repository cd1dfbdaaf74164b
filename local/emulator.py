"""ministack, run by its own interpreter, with two things that AWS has and it lacks.

The event bus of AWS follows array indices (`$.detail.mail.tags.message_id[0]`) where a rule transforms an event;
ministack finds nothing there, and every delivery event would lose its ids.

Amazon SES keeps a suppression list, and lets an account's sending, an identity's signature and its MAIL FROM name be
switched; ministack does not, and nobody could try what `make doctor` says of them. Mail goes out all the same.
"""

import json
import re
import sys
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

from ministack.app import main
from ministack.core.responses import json_response
from ministack.services import eventbridge, ses_v2

_apply = eventbridge._apply_input_transformer
_handle = ses_v2.handle_request
_suppressed: dict[str, str] = {}  # address -> reason
_account = {"SendingEnabled": True}


class Indexed(list[Any]):
    """A list whose parts are also found under their number as text, as the emulator looks them up."""

    def __getitem__(self, key: Any) -> Any:
        """The part; anything that is no number is a KeyError, which the emulator takes for "not there"."""
        if not isinstance(key, str):
            return super().__getitem__(key)
        if not key.isdigit():
            raise KeyError(key)
        return super().__getitem__(int(key))


def indexed(value: Any) -> Any:
    """The same, with such lists in place of all others."""
    if isinstance(value, dict):
        return {name: indexed(part) for name, part in value.items()}
    return Indexed(indexed(part) for part in value) if isinstance(value, list) else value


def apply_input_transformer(transformer: dict[str, Any], rule: Any, view: Any) -> Any:
    """As the emulator's own, but each `[0]` of a path is a step like any other."""
    paths = {name: re.sub(r"\[(\d+)\]", r".\1", path) for name, path in transformer.get("InputPathsMap", {}).items()}
    whole = SimpleNamespace(event_with_detail=lambda: indexed(view.event_with_detail()), envelope=view.envelope)
    return _apply({**transformer, "InputPathsMap": paths}, rule, whole)


async def handle_mail_request(method: str, path: str, headers: Any, body: bytes, query_params: Any) -> Any:
    """As the emulator's own, with the calls that it lacks."""
    call = path.removeprefix("/v2/email").rstrip("/")
    if call == "/account" and method == "GET":
        status, told, answer = await _handle(method, path, headers, body, query_params)
        return status, told, json.dumps({**json.loads(answer), **_account}).encode()
    wanted = json.loads(body) if body and method == "PUT" else {}
    own = _of_the_account(method, call, wanted) or _of_an_identity(method, call, wanted)
    return own or await _handle(method, path, headers, body, query_params)


def _of_the_account(method: str, call: str, wanted: dict[str, Any]) -> Any:
    if (method, call) == ("PUT", "/account/sending"):
        _account["SendingEnabled"] = wanted.get("SendingEnabled", False)
        return json_response({})
    if (method, call) == ("PUT", "/suppression/addresses"):
        _suppressed[wanted["EmailAddress"].lower()] = wanted["Reason"]
        return json_response({})
    address = unquote(call.removeprefix("/suppression/addresses/")).lower()
    if address == call.lower() or method not in ("GET", "DELETE"):
        return None
    if address not in _suppressed:
        return ses_v2._json_err("NotFoundException", f"{address} is not on the suppression list", 404)
    if method == "DELETE":
        del _suppressed[address]
        return json_response({})
    reason = _suppressed[address]
    listed = {"EmailAddress": address, "Reason": reason, "LastUpdateTime": 0}
    return json_response({"SuppressedDestination": listed})


def _of_an_identity(method: str, call: str, wanted: dict[str, Any]) -> Any:
    found = re.fullmatch(r"/identities/(.+)/(dkim|mail-from)", call)
    identity = ses_v2._identities.get(unquote(found[1])) if found else None
    if method != "PUT" or not found or identity is None:
        return None
    if found[2] == "dkim":
        signs = wanted.get("SigningEnabled", False)
        identity["DkimAttributes"] |= {"SigningEnabled": signs, "Status": "SUCCESS" if signs else "NOT_STARTED"}
    else:
        name = wanted.get("MailFromDomain", "")
        named = {"MailFromDomain": name, "MailFromDomainStatus": "SUCCESS"} if name else {}
        identity["MailFromAttributes"] = {"BehaviorOnMxFailure": "USE_DEFAULT_VALUE", **named}
    return json_response({})


if __name__ == "__main__":
    ses_v2.handle_request = handle_mail_request
    eventbridge._apply_input_transformer = apply_input_transformer
    sys.argv = ["ministack"]  # it has no option for being recognised; the state folder comes as the last argument
    main()
