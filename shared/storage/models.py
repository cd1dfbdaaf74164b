"""The tables as PynamoDB sees them. Keys and indexes equal infra/template.yaml: a test holds them together."""

from datetime import datetime
from threading import Lock
from typing import Any

from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    JSONAttribute,
    ListAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.connection import Connection, TableConnection
from pynamodb.constants import STRING
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection
from pynamodb.models import Model

from shared.config import setting
from shared.domain.clock import format_instant, parse_instant

CONNECTIONS = 192  # kept open; a run of the sender has no more threads
_connection = Connection(
    connect_timeout_seconds=2, read_timeout_seconds=5, max_retry_attempts=5, max_pool_connections=CONNECTIONS
)
_joining = Lock()  # the workers of a cold start meet a table at once, and it joins once


def connection() -> Connection:
    """One client for all tables: PynamoDB would make one each, at 0.1 s of every cold start."""
    return _connection


class Table(Model):
    """A table on the shared connection."""

    @classmethod
    def _get_connection(cls) -> TableConnection:
        with _joining:
            is_new = cls._connection is None
            table = super()._get_connection()
            if is_new:
                connection().add_meta_table(table.get_meta_table())
                table.connection = connection()
        return table


class InstantAttribute(Attribute[datetime]):
    """A moment as `2026-03-02T15:00:00Z`: readable in the console, and text order is time order."""

    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        """UTC, whole seconds."""
        return format_instant(value)

    def deserialize(self, value: str) -> datetime:
        """UTC."""
        return parse_instant(value)


class PatientsByName(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """Patients by the first letter of their search name, and within it in its order."""

    class Meta:
        index_name = "by_name"
        projection = IncludeProjection(["first_name", "last_name", "clinic_id"])

    name_initial = UnicodeAttribute(hash_key=True)
    search_name = UnicodeAttribute(range_key=True)
    patient_id = UnicodeAttribute()
    first_name = UnicodeAttribute(default="")
    last_name = UnicodeAttribute(default="")
    clinic_id = UnicodeAttribute(default="")


class PatientItem(Table):
    """Patients."""

    class Meta:
        table_name = setting("PATIENTS_TABLE")

    patient_id = UnicodeAttribute(hash_key=True)
    by_name = PatientsByName()

    name_initial = UnicodeAttribute(null=True)
    search_name = UnicodeAttribute(null=True)
    first_name = UnicodeAttribute(default="")
    last_name = UnicodeAttribute(default="")
    email = UnicodeAttribute(default="")
    phone = UnicodeAttribute(default="")
    language = UnicodeAttribute(default="en")
    clinic_id = UnicodeAttribute(default="")
    tags: ListAttribute[Any] = ListAttribute(default=list)
    opted_out = BooleanAttribute(default=False)
    hold = BooleanAttribute(default=False)
    deceased = BooleanAttribute(default=False)
    archived = BooleanAttribute(default=False)
    behind = JSONAttribute(null=True)
    updated_at = InstantAttribute(null=True)
    uploaded_at = InstantAttribute(null=True)
    surveyed_at = InstantAttribute(null=True)
    surveyed_by = UnicodeAttribute(null=True)
    surveyed_for = InstantAttribute(null=True)
    review_requested_at = InstantAttribute(null=True)
    review_requested_by = UnicodeAttribute(null=True)
    corrected = JSONAttribute(null=True)
    merged_into = UnicodeAttribute(null=True)
    merged_from = UnicodeSetAttribute(null=True)


class VisitItem(Table):
    """Visits, and the patient's cases among them under `case#…`, so that one query reads a whole history.

    A removed one stays as a mark, so that an older file does not bring it back.
    """

    class Meta:
        table_name = setting("VISITS_TABLE")

    patient_id = UnicodeAttribute(hash_key=True)
    visit_id = UnicodeAttribute(range_key=True)
    kind = UnicodeAttribute()
    case_id = UnicodeAttribute()
    clinic_id = UnicodeAttribute(null=True)
    clinic_name = UnicodeAttribute(null=True)
    therapist_id = UnicodeAttribute(null=True)
    therapist_name = UnicodeAttribute(null=True)
    started_at = InstantAttribute(null=True)
    ended_at = InstantAttribute(null=True)
    closed_at = InstantAttribute(null=True)
    has_time = BooleanAttribute(default=True)
    status = UnicodeAttribute(null=True)
    removed = BooleanAttribute(default=False)
    behind = JSONAttribute(null=True)
    updated_at = InstantAttribute(null=True)
    uploaded_at = InstantAttribute(null=True)


class SurveysByPatient(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """All surveys of a patient."""

    class Meta:
        """What is copied: keys only, so that an answer costs nothing here."""

        index_name = "by_patient"
        projection = KeysOnlyProjection()

    patient_id = UnicodeAttribute(hash_key=True)
    survey_id = UnicodeAttribute(range_key=True)


class OwedReactions(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """Sparse: the answers to which something must still follow, oldest first."""

    class Meta:
        index_name = "owed_reactions"
        projection = KeysOnlyProjection()

    pending_reaction = UnicodeAttribute(hash_key=True)
    answered_at = InstantAttribute(range_key=True)


class Uncounted(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """Sparse: the surveys that changed since the aggregates were last written."""

    class Meta:
        index_name = "uncounted"
        projection = KeysOnlyProjection()

    uncounted = UnicodeAttribute(hash_key=True)
    survey_id = UnicodeAttribute(range_key=True)


class AnsweredSurveys(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """Sparse: a clinic's answers by moment as the nightly count knows them, for exports."""

    class Meta:
        index_name = "answered"
        projection = KeysOnlyProjection()

    clinic_id = UnicodeAttribute(hash_key=True)
    counted_answer_at = InstantAttribute(range_key=True)


class SurveyItem(Table):
    """Surveys and their answers. `answers` keeps every accepted version."""

    class Meta:
        table_name = setting("SURVEYS_TABLE")

    survey_id = UnicodeAttribute(hash_key=True)
    by_patient = SurveysByPatient()
    owed_reactions = OwedReactions()
    uncounted_index = Uncounted()
    answered_index = AnsweredSurveys()

    patient_id = UnicodeAttribute()
    former_patient_ids = UnicodeSetAttribute(null=True)
    case_id = UnicodeAttribute()
    episode = UnicodeAttribute()
    visit_id = UnicodeAttribute()
    clinic_id = UnicodeAttribute()
    therapist_id = UnicodeAttribute(default="")
    touchpoint = UnicodeAttribute()
    occurred_at = InstantAttribute()
    due_at = InstantAttribute()
    language = UnicodeAttribute(default="en")
    token_hashes = UnicodeSetAttribute(null=True)
    expires_at = InstantAttribute(null=True)
    sent_at = InstantAttribute(null=True)
    delivered_at = InstantAttribute(null=True)
    unsent_reason = UnicodeAttribute(null=True)
    score = NumberAttribute(null=True)
    category = UnicodeAttribute(null=True)
    comment = UnicodeAttribute(null=True)
    version = NumberAttribute(null=True)
    first_answered_at = InstantAttribute(null=True)
    answered_at = InstantAttribute(null=True)
    answers: ListAttribute[Any] = ListAttribute(null=True)
    pending_reaction = UnicodeAttribute(null=True)
    review_invited_at = InstantAttribute(null=True)
    uncounted = UnicodeAttribute(null=True)
    revision = NumberAttribute(null=True)
    counted = JSONAttribute(null=True)
    counted_answer_at = InstantAttribute(null=True)


class DueMessages(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """Sparse: what is not settled yet, by the moment it is due. Only what never changes is copied: no extra writes."""

    class Meta:
        index_name = "due"
        projection = IncludeProjection(["kind", "patient_id", "survey_id", "clinic_id", "touchpoint", "occurred_at"])

    due = UnicodeAttribute(hash_key=True)
    due_at = InstantAttribute(range_key=True)
    message_id = UnicodeAttribute()
    kind = UnicodeAttribute()
    patient_id = UnicodeAttribute()
    survey_id = UnicodeAttribute()
    clinic_id = UnicodeAttribute()
    touchpoint = UnicodeAttribute()
    occurred_at = InstantAttribute()


class MessageItem(Table):
    """Every patient mail."""

    class Meta:
        table_name = setting("MESSAGES_TABLE")

    message_id = UnicodeAttribute(hash_key=True)
    due_index = DueMessages()

    kind = UnicodeAttribute()
    patient_id = UnicodeAttribute()
    survey_id = UnicodeAttribute()
    clinic_id = UnicodeAttribute()
    touchpoint = UnicodeAttribute()
    occurred_at = InstantAttribute()
    due = UnicodeAttribute(null=True)
    due_at = InstantAttribute()
    state = UnicodeAttribute()
    attempt = NumberAttribute(default=0)
    lease_until = InstantAttribute(null=True)
    ses_id = UnicodeAttribute(null=True)
    sent_at = InstantAttribute(null=True)
    reason = UnicodeAttribute(null=True)
    delivery = UnicodeAttribute(null=True)
    delivery_at = InstantAttribute(null=True)
    delivery_status = UnicodeAttribute(null=True)
    delivery_events = UnicodeSetAttribute(null=True)


class AddressItem(Table):
    """Email addresses under a keyed hash; the item `staff` lists those of the staff that take no mail as `failing`."""

    class Meta:
        table_name = setting("ADDRESSES_TABLE")

    address_key = UnicodeAttribute(hash_key=True)
    last_contact_at = InstantAttribute(null=True)
    last_patient_id = UnicodeAttribute(null=True)
    last_message_id = UnicodeAttribute(null=True)
    bounced = BooleanAttribute(null=True)
    bounced_at = InstantAttribute(null=True)
    complained = BooleanAttribute(null=True)
    complained_at = InstantAttribute(null=True)
    failing = UnicodeSetAttribute(null=True)


class ScoresItem(Table):
    """Nightly counts; one attribute a count (`s0` … `s10` and the funnel)."""

    class Meta:
        table_name = setting("SCORES_TABLE")

    scope = UnicodeAttribute(hash_key=True)
    day = UnicodeAttribute(range_key=True)


class ActivityItem(Table):
    """What happened to a patient, append-only; `entry` is time#kind#id."""

    class Meta:
        table_name = setting("ACTIVITY_TABLE")

    patient_id = UnicodeAttribute(hash_key=True)
    entry = UnicodeAttribute(range_key=True)
    kind = UnicodeAttribute()
    at = InstantAttribute()
    survey_id = UnicodeAttribute(null=True)
    message_id = UnicodeAttribute(null=True)
    version = NumberAttribute(null=True)
    score = NumberAttribute(null=True)
    detail = UnicodeAttribute(null=True)


class ListedCases(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """Open cases by deadline, closed ones by the month and moment of closing."""

    class Meta:
        index_name = "listed"
        projection = IncludeProjection(["clinic_id"])

    listed_under = UnicodeAttribute(hash_key=True)
    listed_at = InstantAttribute(range_key=True)
    survey_id = UnicodeAttribute()
    clinic_id = UnicodeAttribute()


class CaseItem(Table):
    """What the staff do about an unhappy answer; `outreach` keeps every attempt."""

    class Meta:
        table_name = setting("CASES_TABLE")

    survey_id = UnicodeAttribute(hash_key=True)
    listed = ListedCases()

    listed_under = UnicodeAttribute()
    listed_at = InstantAttribute()
    patient_id = UnicodeAttribute()
    clinic_id = UnicodeAttribute()
    therapist_id = UnicodeAttribute(default="")
    category = UnicodeAttribute()
    state = UnicodeAttribute()
    opened_at = InstantAttribute()
    deadline = InstantAttribute()
    owner = UnicodeAttribute(default="")
    owner_name = UnicodeAttribute(default="")
    claimed_at = InstantAttribute(null=True)
    outreach: ListAttribute[Any] = ListAttribute(default=list)
    replied_at = InstantAttribute(null=True)
    escalated_at = InstantAttribute(null=True)
    outcome = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(default="")
    closing_note = UnicodeAttribute(default="")
    closed_at = InstantAttribute(null=True)
    closed_by = UnicodeAttribute(default="")
    safety = BooleanAttribute(default=False)
    version = NumberAttribute()


class SessionsByUser(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """All sign-ins of somebody."""

    class Meta:
        index_name = "by_user"
        projection = KeysOnlyProjection()

    user_id = UnicodeAttribute(hash_key=True)
    session_id = UnicodeAttribute(range_key=True)


class SessionItem(Table):
    """Sign-ins of the staff; DynamoDB removes an item some time after `expires` (epoch seconds)."""

    class Meta:
        table_name = setting("SESSIONS_TABLE")

    session_id = UnicodeAttribute(hash_key=True)
    by_user = SessionsByUser()

    user_id = UnicodeAttribute()
    name = UnicodeAttribute(default="")
    email = UnicodeAttribute(default="")
    role = UnicodeAttribute()
    clinics = UnicodeSetAttribute(null=True)
    therapist_id = UnicodeAttribute(default="")
    created_at = InstantAttribute()
    seen_at = InstantAttribute()
    expires = NumberAttribute()


class SettingsItem(Table):
    """Clinics (`clinic#id`) and the locks of scheduled runs (`run#name`)."""

    class Meta:
        table_name = setting("SETTINGS_TABLE")

    scope = UnicodeAttribute(hash_key=True)
