"""Cases that nobody took care of in time, as one mail to whoever answers for the practice."""

from datetime import datetime

from shared.config import setting
from shared.domain.recovery import RecoveryCase, needs_escalation
from shared.mail import staff_letters
from shared.mail.mailer import Mailer
from shared.mail.staff import tell_staff
from shared.mail.staff_letters import LateCase
from shared.observability import log
from shared.storage import cases, settings
from shared.storage.settings import practice

MAX_CASES = 50  # in one mail; what is left goes into the next hour's


def escalate(as_of: datetime, mailer: Mailer) -> int:
    """Tell of every case that was late at `as_of` and not told of yet, the longest waiting first; how many.

    The mail goes first: should the note fail, the owner hears twice rather than never.
    """
    overdue = cases.get_many(survey_id for survey_id, _ in cases.open_ones(as_of)).values()
    late = [case for case in sorted(overdue, key=lambda case: case.deadline) if needs_escalation(case, as_of)]
    del late[MAX_CASES:]
    if not late:
        return 0
    to = practice().late_cases_to
    link = f"{setting('DASHBOARD_URL')}/cases"
    tell_staff(mailer, staff_letters.escalation(practice(), [_told(case) for case in late], to=to, dashboard_link=link))
    for case in late:
        cases.mark_escalated(case.survey_id, as_of)
        log("case_escalated", survey_id=case.survey_id, clinic_id=case.clinic_id)
    return len(late)


def _told(case: RecoveryCase) -> LateCase:
    clinic = settings.clinic(case.clinic_id)
    opened = case.opened_at.astimezone(clinic.zone)
    return LateCase(
        survey_id=case.survey_id,
        clinic_name=clinic.name,
        category=case.category,
        opened_local=f"{opened:%A, %B} {opened.day}, {opened:%H:%M %Z}",
        owner_name=case.owner_name,
    )
