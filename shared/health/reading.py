"""Reads what there is to know of a deployed stack, each fact by itself: one that cannot be read says why.

Whoever imports this has the environment of a function of the stack: the tables' names and the practice's choices.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.config import BadSetting
from shared.domain.delivery import staff_key
from shared.domain.sending_health import SendingState
from shared.domain.settings import Practice
from shared.health import facts
from shared.health.findings import Gone, Unread
from shared.storage import addresses, directory, scores, sending_health, settings

AT_ONCE = 8
TRIGGERED = ("incoming/", "preview/", "settings/")
_LATELY = timedelta(days=14)
_REFUSED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403"}
_GONE = {
    *("NotFound", "NotFoundException", "ResourceNotFoundException", "TableNotFoundException", "NoSuchBucket", "404"),
    *("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
}
_NOT_EMULATED = ("Unknown SES", "Unknown operation", "Unsupported operation", "Unknown action")


_TABLE, _BUCKET, _POOL = "A table", "The bucket of uploaded files", "The pool of sign-ins"
_PARTS_BY_OPERATION = {
    **dict.fromkeys(("GetItem", "BatchGetItem", "Query", "Scan"), _TABLE),
    **dict.fromkeys(("ListObjectsV2", "GetBucketVersioning", "GetBucketNotificationConfiguration"), _BUCKET),
    **dict.fromkeys(("ListUsersInGroup", "GetUserPoolMfaConfig"), _POOL),
    "ListSubscriptionsByTopic": "The topic that alarms go to",
    "DescribeKey": "The key that the data is encrypted with",
    "DescribeCertificate": "The certificate of your own names",
}


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
        return Gone(_PARTS_BY_OPERATION.get(operation, f"What {operation} asks for"))
    return Unread(f"AWS answered {code} ({operation})", "Try again in a minute.")


def not_emulated(what: str) -> Unread:
    """Something that only AWS has."""
    return Unread(f"the stand-in for AWS on this machine has no {what}", "Nothing here. In AWS, this is looked at.")


def _known(place: Place, service: str, operation: str, **asked: Any) -> Any:
    """What AWS says of a part, or None if it does not know it."""
    from botocore.exceptions import ClientError

    try:
        return getattr(place.client(service), operation)(**asked)
    except ClientError as error:
        if isinstance(_of_refusal(error, place), Gone):
            return None
        raise


# ---- Mail -------------------------------------------------------------------------------------------------


def account(place: Place) -> facts.MailAccount:
    """The account in Amazon SES."""
    told = place.client("sesv2").get_account()
    return facts.MailAccount(
        in_production=told["ProductionAccessEnabled"],
        sends=told["SendingEnabled"],
        enforcement=told["EnforcementStatus"],
        quota=int(told["SendQuota"]["Max24HourSend"]),
        sent=int(told["SendQuota"]["SentLast24Hours"]),
    )


def identities(place: Place) -> tuple[facts.Identity, ...]:
    """The sender's address and domain, as far as Amazon SES knows them."""
    sender = settings.practice().sender
    found = (_identity(place, name) for name in (sender, sender.rpartition("@")[2]))
    return tuple(each for each in found if each)


def _identity(place: Place, name: str) -> facts.Identity | None:
    told = _known(place, "sesv2", "get_email_identity", EmailIdentity=name)
    if told is None:
        return None
    dkim, mail_from = told.get("DkimAttributes", {}), told.get("MailFromAttributes", {})
    return facts.Identity(
        name=name,
        is_verified=told["VerifiedForSendingStatus"],
        signs=dkim.get("SigningEnabled", False),
        dkim=dkim.get("Status", ""),
        mail_from=mail_from.get("MailFromDomain", ""),
        mail_from_status=mail_from.get("MailFromDomainStatus", ""),
    )


def configuration(place: Place) -> facts.ConfigurationSet | Gone:
    """The configuration set, and which events go to the bus."""
    mail, name = place.client("sesv2"), place.name("MailEvents")
    told = _known(place, "sesv2", "get_configuration_set", ConfigurationSetName=name)
    if told is None:
        return Gone("The configuration set of Amazon SES")
    listed = mail.get_configuration_set_event_destinations(ConfigurationSetName=name)
    there = listed.get("EventDestinations", ())
    to_the_bus = [each for each in there if each["Enabled"] and each.get("EventBridgeDestination")]
    # A set without a choice of its own goes by the account's.
    chosen = told.get("SuppressionOptions") or mail.get_account().get("SuppressionAttributes", {})
    return facts.ConfigurationSet(
        sends=told.get("SendingOptions", {}).get("SendingEnabled", True),
        suppressed=frozenset(chosen.get("SuppressedReasons", ())),
        told=frozenset(kind for each in to_the_bus for kind in each["MatchingEventTypes"]),
    )


def rule(place: Place) -> bool | Gone:
    """Whether the rule for what becomes of mails is on and leads to the function."""
    name = place.name("MailEventsRule").rpartition("/")[2]
    told = _known(place, "events", "describe_rule", Name=name)
    if told is None:
        return Gone("The rule that hands on what Amazon SES tells of mails")
    targets = place.client("events").list_targets_by_rule(Rule=name)["Targets"]
    function = place.name("TrackDeliveryFunction")
    return told["State"].startswith("ENABLED") and any(each["Arn"].endswith(f":{function}") for each in targets)


def dmarc(place: Place) -> tuple[str, ...]:
    """The DMARC records of the sender's domain, else of the nearest domain above it that has any."""
    labels = settings.practice().sender.rpartition("@")[2].split(".")
    for first in range(max(1, len(labels) - 1)):
        found = [text for text in place.texts(f"_dmarc.{'.'.join(labels[first:])}") if "dmarc1" in text.lower()]
        if found:
            return tuple(found)
    return ()


def suppressed_staff(place: Place) -> dict[str, str]:
    """Whom of those who get alerts Amazon SES holds mail back from, and why."""
    found = {}
    for address in sorted(_everybody()):
        told = _known(place, "sesv2", "get_suppressed_destination", EmailAddress=address)
        if told:
            found[address] = told["SuppressedDestination"]["Reason"]
    return found


# ---- The practice, in its own tables ----------------------------------------------------------------------


def practice(place: Place) -> Practice:
    """The practice's choices."""
    return settings.practice()


def choices(place: Place) -> str:
    """What is wrong with the practice's choices; normally nothing."""
    try:
        settings.practice()
    except BadSetting as error:
        return str(error)
    return ""


def sending(place: Place) -> SendingState:
    """What is known of sending to patients."""
    return sending_health.state()


def sent_today(place: Place) -> int:
    """Mails to patients on this UTC day."""
    return sending_health.sent_on(place.now)


def recipients(place: Place) -> facts.Recipients:
    """Who gets the alerts, and whom they do not reach."""
    keys = {staff_key(email): email for email in _everybody()}
    failing = addresses.get_many(addresses.failing_staff() & keys.keys())
    return facts.Recipients(
        settings.practice().admins,
        {clinic.clinic_id: clinic.admins for clinic in settings.clinics()},
        {keys[key]: "complained" if address.complained else "bounced" for key, address in failing.items()},
    )


def _everybody() -> set[str]:
    chosen = settings.practice()
    everybody = {*chosen.admins, *chosen.escalate_to, *chosen.clinical_leads}
    return everybody.union(*(clinic.admins for clinic in settings.clinics()))


def counted_at(place: Place) -> datetime | None:
    """When the nightly count last ended."""
    return directory.read().counted_at


def lately(place: Place) -> facts.Lately:
    """The last two weeks, as far as they are counted."""
    today = place.now.astimezone(settings.practice().zone).date()
    days = scores.read_range("practice", (today - _LATELY).isoformat(), today.isoformat())
    answered = [day for day, counts in days.items() if any(counts.get(f"s{score}") for score in range(11))]
    last = max(answered, default=None)
    return facts.Lately(
        sent=sum(counts.get("sent", 0) for counts in days.values()),
        last_answer=datetime.fromisoformat(last).date() if last else None,
    )


def last_file(place: Place) -> datetime | None:
    """When the newest report on a file from the EMR was written; reports are kept for 30 days."""
    pages = place.client("s3").get_paginator("list_objects_v2")
    listed = pages.paginate(Bucket=place.name("IntakeBucket"), Prefix="reports/")
    moments = (each["LastModified"] for page in listed for each in page.get("Contents", ()))
    return max(moments, default=None)


# ---- Who signs in -----------------------------------------------------------------------------------------


def owners(place: Place) -> tuple[facts.Owner, ...]:
    """Everybody in the group of owners."""
    pages = place.client("cognito-idp").get_paginator("list_users_in_group")
    listed = pages.paginate(UserPoolId=place.name("StaffPool"), GroupName="owner")
    return tuple(
        facts.Owner(
            email=next((each["Value"] for each in user["Attributes"] if each["Name"] == "email"), ""),
            is_enabled=user["Enabled"],
            has_signed_in=user["UserStatus"] != "FORCE_CHANGE_PASSWORD",
        )
        for page in listed
        for user in page["Users"]
    )


def second_factor(place: Place) -> str:
    """ON, OPTIONAL or OFF."""
    told = place.client("cognito-idp").get_user_pool_mfa_config(UserPoolId=place.name("StaffPool"))
    return str(told.get("MfaConfiguration", "OFF"))


# ---- What runs by itself ----------------------------------------------------------------------------------


def stack_status(place: Place) -> str:
    """How the last deployment ended, in CloudFormation's word."""
    return place.status


def schedules(place: Place) -> tuple[facts.Schedule, ...]:
    """Every schedule of the stack."""
    return tuple(_schedule(place, logical, name) for logical, name in _schedules(place).items())


def _schedules(place: Place) -> dict[str, str]:
    return place.of_kind("AWS::Scheduler::Schedule")


def _schedule(place: Place, logical: str, name: str) -> facts.Schedule:
    function = _function_of(place, logical)
    own = logical.removeprefix(function)
    told = _known(place, "scheduler", "get_schedule", Name=name.rpartition("/")[2])
    if told is None:
        return facts.Schedule(own, function, None, timedelta(days=1), None)
    return facts.Schedule(
        own, function, told["State"] == "ENABLED", every(told["ScheduleExpression"]), told.get("LastModificationDate")
    )


def every(expression: str) -> timedelta:
    """How often a schedule comes: `rate(15 minutes)`, else `cron(…)`, of which the stack has daily ones only."""
    number, _, unit = expression.removeprefix("rate(").rstrip(")").partition(" ")
    if not expression.startswith("rate("):
        return timedelta(days=1)
    return int(number) * {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[unit[0]]


def _function_of(place: Place, logical: str) -> str:
    """SAM calls a function's schedules and mappings after it."""
    named = [each for each in place.of_kind("AWS::Lambda::Function") if logical.startswith(each)]
    return max(named, key=len, default=logical)


def schedules_wanted(place: Place) -> bool:
    """Whether the stack was deployed with its schedules on."""
    return place.parameters.get("SchedulesEnabled", "true") == "true"


def last_runs(place: Place) -> dict[str, facts.Run]:
    """When each scheduled function last ran in two days, and last ended well, to five minutes, as CloudWatch counts."""
    names = {_function_of(place, logical) for logical in _schedules(place)}
    functions = sorted(names & place.parts.keys())
    counted = _counted(
        place,
        [
            ("AWS/Lambda", metric, [{"Name": "FunctionName", "Value": place.name(function)}])
            for function in functions
            for metric in ("Invocations", "Errors")
        ],
        timedelta(hours=49),
    )
    found = {}
    for function, ran, failed in zip(functions, counted[::2], counted[1::2], strict=True):
        well = [moment for moment, number in ran.items() if number > failed.get(moment, 0)]
        if ran:
            found[function] = facts.Run(max(ran), max(well, default=None))
    return found


def self_test(place: Place) -> datetime | None:
    """When the rehearsal of the whole loop last came through, in two weeks."""
    stack = place.parameters["AWS::StackName"]
    [passed] = _counted(place, [(f"Careloop/{stack}", "SelfTestPassed", [])], timedelta(days=14))
    if not passed and place.is_local:
        why = "the stand-in for AWS on this machine keeps no figures that functions write into their logs"
        raise CannotTell(why, "Nothing here. In AWS, this is looked at.")
    return max(passed, default=None)


def _counted(
    place: Place, metrics: Sequence[tuple[str, str, list[dict[str, str]]]], back: timedelta
) -> list[dict[datetime, float]]:
    """Each metric by five minutes, as far as it is above nothing."""
    asked = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions},
                "Period": 300,
                "Stat": "Sum",
            },
        }
        for number, (namespace, metric, dimensions) in enumerate(metrics)
    ]
    # From a whole five minutes on, so that AWS keeps to the period; later than now, so that the present is in it.
    begin = place.now.replace(minute=place.now.minute // 5 * 5, second=0, microsecond=0) - back
    end = place.now + timedelta(minutes=5)
    found: list[dict[datetime, float]] = [{} for _ in metrics]
    pages = place.client("cloudwatch").get_paginator("get_metric_data")
    for page in pages.paginate(MetricDataQueries=asked, StartTime=begin, EndTime=end):
        for result in page["MetricDataResults"]:
            values = zip(result["Timestamps"], result["Values"], strict=True)
            found[int(result["Id"][1:])] |= {moment: value for moment, value in values if value > 0}
    return found


def halted(place: Place) -> dict[str, str]:
    """The functions that may not run, and why."""
    found = ((each, _halted(place, name)) for each, name in place.of_kind("AWS::Lambda::Function").items())
    return {each: why for each, why in found if why}


def _halted(place: Place, name: str) -> str:
    told = _known(place, "lambda", "get_function_configuration", FunctionName=name)
    if told is None:
        return "is not there any more"
    if told.get("State") == "Failed":
        return f"cannot start ({told.get('StateReasonCode', 'no reason given')})"
    if told.get("LastUpdateStatus") == "Failed":
        return f"could not be brought up to date ({told.get('LastUpdateStatusReasonCode', 'no reason given')})"
    reserved = place.client("lambda").get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    return "may not run at all (its reserved concurrency is 0)" if reserved == 0 else ""


def mappings(place: Place) -> tuple[facts.Mapping, ...]:
    """What wakes functions when a survey changes."""
    return tuple(
        _mapping(place, logical, name) for logical, name in place.of_kind("AWS::Lambda::EventSourceMapping").items()
    )


def _mapping(place: Place, logical: str, name: str) -> facts.Mapping:
    told = _known(place, "lambda", "get_event_source_mapping", UUID=name)
    if told is None:
        return facts.Mapping(_function_of(place, logical), "", "")
    return facts.Mapping(_function_of(place, logical), told["State"], told.get("LastProcessingResult") or "")


def queue(place: Place) -> facts.Queue | Gone:
    """The queue of failed events."""
    asked = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = _known(place, "sqs", "get_queue_attributes", QueueUrl=place.name("FailedEvents"), AttributeNames=asked)
    if told is None:
        return Gone("The queue of failed events")
    return facts.Queue(sum(int(told["Attributes"][name]) for name in asked), None)


def queue_with_age(place: Place) -> facts.Queue | Gone:
    """The same with the age of the oldest event, if CloudWatch knows it."""
    found = queue(place)
    if isinstance(found, Gone) or not found.waiting:
        return found
    told = place.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": place.name("FailedEvents").rpartition("/")[2]}],
        StartTime=place.now - timedelta(minutes=30),
        EndTime=place.now,
        Period=300,
        Statistics=["Maximum"],
    )
    ages = [point["Maximum"] for point in told["Datapoints"]]
    return facts.Queue(found.waiting, timedelta(seconds=max(ages)) if ages else None)


def triggers(place: Place) -> tuple[str, ...]:
    """The folders of whose uploads nobody is told."""
    told = place.client("s3").get_bucket_notification_configuration(Bucket=place.name("IntakeBucket"))
    there = {
        rule["Value"]
        for each in told.get("LambdaFunctionConfigurations", ())
        for rule in each.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    }
    return tuple(folder for folder in TRIGGERED if folder not in there)


# ---- Alarms, pages, names ---------------------------------------------------------------------------------


def topic(place: Place) -> facts.Topic:
    """Who is subscribed to the alarms."""
    pages = place.client("sns").get_paginator("list_subscriptions_by_topic")
    listed = [each for page in pages.paginate(TopicArn=place.name("AlarmTopic")) for each in page["Subscriptions"]]
    pending = [each["Endpoint"] for each in listed if each["SubscriptionArn"] == "PendingConfirmation"]
    confirmed = [each["Endpoint"] for each in listed if each["SubscriptionArn"].startswith("arn:")]
    return facts.Topic(tuple(confirmed), tuple(pending))


def alarms(place: Place) -> tuple[facts.Alarm, ...]:
    """Every alarm of the stack."""
    named = place.of_kind("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    names, told = list(named.values()), {}
    for first in range(0, len(names), 100):
        pages = place.client("cloudwatch").get_paginator("describe_alarms")
        some = names[first : first + 100]
        for page in pages.paginate(AlarmNames=some, AlarmTypes=["MetricAlarm", "CompositeAlarm"]):
            for each in (*page.get("MetricAlarms", ()), *page.get("CompositeAlarms", ())):
                told[each["AlarmName"]] = each
    return tuple(_alarm(logical, told.get(name, {})) for logical, name in named.items())


def _alarm(logical: str, told: Mapping[str, Any]) -> facts.Alarm:
    return facts.Alarm(
        logical, told.get("StateValue", ""), told.get("AlarmDescription", ""), told.get("ActionsEnabled", True)
    )


def patients_page(place: Place) -> facts.Page:
    """What a link with a made-up token opens: a page that says so."""
    return _page(place, f"{place.outputs['PublicUrl']}/s/none")


def staff_page(place: Place) -> facts.Page:
    """The one page of the dashboard that needs no signing in."""
    return _page(place, f"{place.outputs['DashboardUrl']}/signed-out")


def _page(place: Place, address: str) -> facts.Page:
    try:
        return facts.Page(address, place.fetch(address)[0])
    except OSError as error:
        return facts.Page(address, None, str(error))


def version(place: Place) -> str:
    """The release that the dashboard's foot names."""
    try:
        text = place.fetch(f"{place.outputs['DashboardUrl']}/signed-out")[1]
    except OSError as error:
        raise CannotTell(f"the dashboard does not answer ({error})", "See the finding about the pages.") from error
    found = text.rpartition("Careloop ")[2].partition("<")[0].strip()
    if not found[:1].isdigit():
        raise CannotTell("the dashboard's page does not name its version", "See the finding about the pages.")
    return found


def certificate(place: Place) -> facts.Certificate:
    """The certificate of the practice's own names."""
    told = place.client("acm").describe_certificate(CertificateArn=place.parameters["CertificateArn"])["Certificate"]
    return facts.Certificate(told["Status"], told.get("NotAfter"))


# ---- What is kept -----------------------------------------------------------------------------------------


def tables(place: Place) -> tuple[facts.Table, ...]:
    """Every table of the stack."""
    return tuple(_table(place, logical, name) for logical, name in place.of_kind("AWS::DynamoDB::Table").items())


def _table(place: Place, logical: str, name: str) -> facts.Table:
    backups = _known(place, "dynamodb", "describe_continuous_backups", TableName=name)
    described = _known(place, "dynamodb", "describe_table", TableName=name)
    if backups is None or described is None:
        return facts.Table(logical.removesuffix("Table"), None, None)
    table, kept = described["Table"], backups["ContinuousBackupsDescription"]
    recovery = kept.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    return facts.Table(
        logical.removesuffix("Table"), recovery == "ENABLED", table.get("DeletionProtectionEnabled", False)
    )


def versioning(place: Place) -> str:
    """Whether the intake bucket keeps earlier versions."""
    return str(place.client("s3").get_bucket_versioning(Bucket=place.name("IntakeBucket")).get("Status", ""))


def key(place: Place) -> str:
    """The state of the key that encrypts everything: the stack's, or the practice's own."""
    named = place.parameters.get("KmsKeyArn") or place.name("DataKey")
    return str(place.client("kms").describe_key(KeyId=named)["KeyMetadata"]["KeyState"])


def secret(place: Place) -> bool | Gone:
    """Whether the hash key waits to be deleted."""
    told = _known(place, "secretsmanager", "describe_secret", SecretId=place.name("HashKey"))
    return Gone("The secret of the hash key") if told is None else "DeletedDate" in told


def logs(place: Place) -> tuple[facts.Log, ...]:
    """Every log of the stack."""
    return tuple(_log(place, logical, name) for logical, name in place.of_kind("AWS::Logs::LogGroup").items())


def _log(place: Place, logical: str, name: str) -> facts.Log:
    listed = place.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    there = [each for each in listed if each["logGroupName"] == name]
    return facts.Log(logical, bool(there), there[0].get("retentionInDays") if there else None)


BY_THE_DASHBOARD: Mapping[str, Reader] = {
    "account": account,
    "identities": identities,
    "configuration": configuration,
    "suppressed_staff": suppressed_staff,
    "practice": practice,
    "settings": choices,
    "sending": sending,
    "sent_today": sent_today,
    "recipients": recipients,
    "owners": owners,
    "second_factor": second_factor,
    "counted_at": counted_at,
    "lately": lately,
    "last_file": last_file,
    "queue": queue,
    "tables": tables,
}
"""What the dashboard's role may ask."""


def by_the_command(place: Place) -> Mapping[str, Reader]:
    """All that there is to ask of this stack."""
    readers: dict[str, Reader] = {
        **BY_THE_DASHBOARD,
        "rule": rule,
        "dmarc": dmarc,
        "schedules": schedules,
        "schedules_wanted": schedules_wanted,
        "last_runs": last_runs,
        "halted": halted,
        "mappings": mappings,
        "queue": queue_with_age,
        "triggers": triggers,
        "topic": topic,
        "alarms": alarms,
        "patients_page": patients_page,
        "staff_page": staff_page,
        "version": version,
        "versioning": versioning,
        "key": key,
        "secret": secret,
        "logs": logs,
        "stack_status": stack_status,
    }
    if "SelfTestFunction" in place.parts:
        readers["self_test"] = self_test
    if place.parameters.get("CertificateArn"):
        readers["certificate"] = certificate
    return readers


def parts_of(resources: Iterable[Mapping[str, Any]]) -> dict[str, Part]:
    """The parts of a stack as CloudFormation lists them."""
    return {
        each["LogicalResourceId"]: Part(each["ResourceType"], each.get("PhysicalResourceId", "")) for each in resources
    }
