"""The stack that is looked at, and how facts are asked of it: one that cannot be read says why."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.config import BadSetting
from shared.health.findings import RESTORE, Gone, Unread

AT_ONCE = 8
_REFUSED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403"}
_GONE = {
    *("NotFound", "NotFoundException", "ResourceNotFoundException", "TableNotFoundException", "NoSuchBucket", "404"),
    *("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
    *("NoSuchBucketPolicy", "NoSuchPublicAccessBlockConfiguration"),
}
_NOT_EMULATED = ("Unknown SES", "Unknown operation", "Unsupported operation", "Unknown action")


_TABLE, _BUCKET, _POOL = "A table", "The bucket of uploaded files", "The pool of sign-ins"
_KEY = "The key that the data is encrypted with"
_PARTS_BY_OPERATION = {
    **dict.fromkeys(("GetItem", "BatchGetItem", "Query", "Scan"), _TABLE),
    **dict.fromkeys(("ListObjectsV2", "GetBucketVersioning", "GetBucketNotificationConfiguration"), _BUCKET),
    **dict.fromkeys(("ListUsersInGroup", "GetUserPoolMfaConfig"), _POOL),
    "ListSubscriptionsByTopic": "The topic that alarms go to",
    "DescribeKey": _KEY,
    "DescribeCertificate": "The certificate of your own names",
}
_IRREPLACEABLE = (_TABLE, _BUCKET, _POOL, _KEY)  # an empty one in its place would not be it


class CannotTell(Exception):
    """A fact cannot be known here: why, and what lets it be known."""

    def __init__(self, why: str, do: str) -> None:
        super().__init__(why)
        self.unread = Unread(why, do)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the stack: its kind, and the name that AWS gave it."""

    kind: str
    name: str


@dataclass(frozen=True)
class Place:
    """The stack that is looked at. `clients` makes a client of a service; a part is found by its logical id.

    `texts` are the TXT records of a name in the DNS, `fetch` opens an address; who has neither leaves them out.
    """

    clients: Callable[[str], Any]
    parts: Mapping[str, Part]
    now: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    status: str = ""
    is_local: bool = False
    texts: Callable[[str], Sequence[str]] = lambda name: ()
    fetch: Callable[[str], tuple[int, str]] = lambda address: (0, "")
    _made: dict[str, Any] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def client(self, service: str) -> Any:
        """A client, made once: a session makes one at a time only."""
        with self._lock:
            if service not in self._made:
                self._made[service] = self.clients(service)
            return self._made[service]

    def name(self, logical_id: str) -> str:
        """What AWS calls a part."""
        return self.parts[logical_id].name

    def of_kind(self, *kinds: str) -> dict[str, str]:
        """The names of all parts of these kinds, by logical id."""
        return {logical: part.name for logical, part in self.parts.items() if part.kind in kinds}


Reader = Callable[[Place], Any]


def gather(
    readers: Mapping[str, Reader],
    place: Place,
    seconds: float | None = None,
    show: Callable[[int, int], object] = lambda done, of: None,
) -> dict[str, Any]:
    """Read every fact, several at a time; what could not be read, or not in so many seconds, is in its place."""
    found: dict[str, Any] = {"now": place.now, "is_local": place.is_local}
    pool = ThreadPoolExecutor(AT_ONCE)
    reading: dict[Future[Any], str] = {pool.submit(_read, read, place): name for name, read in readers.items()}
    try:
        for done, future in enumerate(as_completed(reading, seconds), 1):
            found[reading[future]] = future.result()
            show(done, len(readers))
    except TooLate:
        late = Unread("AWS did not answer in time", "Open the page again in a minute, or run `make doctor`.")
        found |= {name: late for name in readers if name not in found}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return found


def _read(read: Reader, place: Place) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return read(place)
    except CannotTell as cannot:
        return cannot.unread
    except ClientError as error:
        return _of_refusal(error, place)
    except BotoCoreError as error:
        return Unread(f"AWS did not answer ({type(error).__name__})", "Look at the network, then try again.")
    except BadSetting as error:
        return Unread(f"the practice's settings cannot be read ({error})", "Correct the setting first.")
    except Exception as error:  # noqa: BLE001 (one fact that fails in a new way must not hide the others)
        refusal = getattr(error, "cause", None)  # PynamoDB's exceptions carry AWS's
        if isinstance(refusal, ClientError):
            return _of_refusal(refusal, place)
        cause = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else type(error).__name__
        return Unread(f"the look at it failed ({cause})", "Look whether the stack is of the same release as this.")


def _of_refusal(error: Any, place: Place) -> Unread | Gone:
    """What a refused call means. Its words are left out: some services repeat what they were asked."""
    code, words = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    operation = error.operation_name
    if place.is_local and words.startswith(_NOT_EMULATED):
        return not_emulated(operation)
    if code in _REFUSED:
        return Unread(
            f"not allowed to ask ({operation})",
            "Run `make doctor` as somebody who may: docs/doctor.md says which rights it needs.",
        )
    if code in _GONE:
        part = _PARTS_BY_OPERATION.get(operation, f"What {operation} asks for")
        return Gone(part, RESTORE if part in _IRREPLACEABLE else "")
    return Unread(f"AWS answered {code} ({operation})", "Try again in a minute.")


def not_emulated(what: str) -> Unread:
    """Something that only AWS has."""
    return Unread(f"the stand-in for AWS on this machine has no {what}", "Nothing here. In AWS, this is looked at.")


def known(place: Place, service: str, operation: str, **asked: Any) -> Any:
    """What AWS says of a part, or None if it does not know it."""
    from botocore.exceptions import ClientError

    try:
        return getattr(place.client(service), operation)(**asked)
    except ClientError as error:
        if isinstance(_of_refusal(error, place), Gone):
            return None
        raise


def parts_of(resources: Iterable[Mapping[str, Any]]) -> dict[str, Part]:
    """The parts of a stack as CloudFormation lists them."""
    return {
        each["LogicalResourceId"]: Part(each["ResourceType"], each.get("PhysicalResourceId", "")) for each in resources
    }
