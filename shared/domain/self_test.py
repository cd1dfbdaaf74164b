"""The self-test's canary: a made-up patient who is asked, answers and is counted each night, and of whom nobody hears.

Mail to it goes to Amazon SES's mailbox simulator, the staff's included. All its ids stand here, so that whatever it
left can be taken out without searching, and the self-test's role is held to these rows.
"""

from shared.domain.settings import ClinicSettings

CLINIC_ID = PATIENT_ID = "careloop-self-test"
"""No export may use an id that begins so."""

SURVEY_ID = "careloopselftestcanary2222"
"""As long as any. Who guesses it still lacks the secret that a link carries as well."""

EMAIL = "success+careloop@simulator.amazonses.com"
"""Takes all mail, also from an account in the SES sandbox; AWS counts it for no quota and no bounce rate."""

SCOPE = f"clinic#{CLINIC_ID}"
"""The only scope of Scores in which the canary counts."""

CLINIC = ClinicSettings(
    CLINIC_ID,
    name="Careloop self-test",
    time_zone="UTC",
    admins=("success+careloop-staff@simulator.amazonses.com",),
    send_from="00:00",
    send_until="24:00",
    send_days="Mon-Sun",
)
"""Stands in no table, so that nothing that fails there can turn the canary's alert to the practice's own staff."""

SENT = "self_test"
"""Why a mail that was sent does not count as one of the practice's."""


def is_canary(clinic_id: str) -> bool:
    """Whether this is the canary's clinic: what is there counts for nobody."""
    return clinic_id == CLINIC_ID


def is_reserved(id_: str) -> bool:
    """Whether a patient's or clinic's id is one that Careloop keeps for itself."""
    return id_.strip().lower().startswith(CLINIC_ID)
