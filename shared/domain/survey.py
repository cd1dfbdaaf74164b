"""A survey: one question to one patient about one touchpoint, and the answer to it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.patient import Language
from shared.domain.score import Category, classify
from shared.domain.settings import PassiveAlerts, Practice, ReviewInvitations

MAX_COMMENT = 4000  # characters
MAX_VERSIONS = 20  # keeps an item under DynamoDB's 400 KB, whatever a patient types


class Reaction(StrEnum):
    """What must follow an answer."""

    ALERT = "alert"
    DIGEST = "digest"
    REVIEW = "review"


PENDING_REACTIONS = ("alert", "alert review", "digest", "review", "review digest")
"""Every value of `pending_reaction`: the head is handled, the rest stays owed. Stream filters list these."""


def pending_with(reaction: Reaction) -> list[str]:
    """The values of `pending_reaction` in which this reaction is the next."""
    return [pending for pending in PENDING_REACTIONS if pending.partition(" ")[0] == reaction]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a patient sent: at most 4,000 characters of comment, whether they may concern safety, and from where."""

    score: int
    comment: str
    concerns_safety: bool = False
    onsite: bool = False  # from a clinic's own network, where staff may be looking on


@dataclass(frozen=True, slots=True)
class AcceptedAnswer:
    """One accepted version of a survey's answer, with the comment then in force; versions count from 1."""

    version: int
    score: int
    comment: str
    at: datetime
    concerns_safety: bool = False  # what the comment then in force says
    onsite: bool = False  # given from a clinic's own network

    @property
    def category(self) -> Category:
        """The group of this version's score."""
        return classify(self.score)


@dataclass(frozen=True, slots=True)
class Counted:
    """What of a survey the aggregates hold: days are practice-local dates, `funnel` the stages it has reached.

    What has a default was not counted by the first release: there `language` is empty.
    """

    score: int | None
    answer_day: str
    cohort_day: str
    funnel: tuple[str, ...]
    clinic_id: str
    therapist_id: str
    touchpoint: str
    language: str = ""
    answered_at: str = ""
    latest_in: tuple[str, ...] = ()  # where it is the patient's latest answer of the quarter
    latest_in_month: tuple[str, ...] = ()  # where it is the patient's latest answer of the month
    themes: tuple[str, ...] = ()
    concerns: tuple[str, ...] = ()
    is_quick: bool = False
    is_onsite: bool = False
    is_invited: bool = False  # to a public review


@dataclass(frozen=True, slots=True)
class Survey:
    """One survey; `version` counts accepted answers and `revision` every change the aggregates must see."""

    survey_id: str
    patient_id: str
    case_id: str
    episode: str
    visit_id: str
    clinic_id: str
    therapist_id: str
    touchpoint: str
    occurred_at: datetime
    due_at: datetime
    language: Language = Language.ENGLISH
    token_hashes: frozenset[str] = frozenset()
    expires_at: datetime | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None  # of its first mail that a mail server took
    unsent_reason: str = ""
    score: int | None = None
    category: Category | None = None
    comment: str = ""
    version: int = 0
    first_answered_at: datetime | None = None
    answered_at: datetime | None = None
    pending_reaction: str = ""
    answers: tuple[AcceptedAnswer, ...] = ()  # every accepted version; the last one counts
    revision: int = 0
    counted: Counted | None = None
    review_invited_at: datetime | None = None
    former_patient_ids: frozenset[str] = frozenset()  # under which it was asked and noted, before patients were merged


def reactions_to(category: Category, practice: Practice, *, concerns_safety: bool = False) -> str:
    """What must follow an answer of this group, as `pending_reaction` holds it; empty for nothing.

    Words that may concern safety alert the staff at once, whatever the score.
    """
    asked = practice.review_invitations
    review = asked is ReviewInvitations.EVERYONE or (
        asked is ReviewInvitations.PROMOTERS and category is Category.PROMOTER
    )
    staff = {
        Category.DETRACTOR: Reaction.ALERT,
        Category.PASSIVE: {
            PassiveAlerts.IMMEDIATE: Reaction.ALERT,
            PassiveAlerts.DIGEST: Reaction.DIGEST,
            PassiveAlerts.OFF: None,
        }[practice.passive_alerts],
        Category.PROMOTER: None,
    }[category]
    queue = [Reaction.ALERT if concerns_safety else staff, Reaction.REVIEW if review else None]
    # The digest waits for its hour, so a review request goes before it; an alert goes before everything.
    return " ".join(reaction for reaction in (Reaction.ALERT, Reaction.REVIEW, Reaction.DIGEST) if reaction in queue)


def rest_of(pending: str) -> str:
    """What stays owed after the first reaction is done."""
    return pending.partition(" ")[2]


def after_alert(answer: AcceptedAnswer, practice: Practice) -> str:
    """What follows this answer beside the alert to the staff, as `pending_reaction` holds it."""
    pending = reactions_to(answer.category, practice, concerns_safety=answer.concerns_safety)
    return pending.removeprefix(Reaction.ALERT).strip()
