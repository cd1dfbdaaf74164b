"""Which facts are read of a stack, by name: by the dashboard, and by whoever looks after AWS."""

from collections.abc import Mapping

from shared.health import read_keeping, read_mail, read_running, read_wiring
from shared.health.place import Place, Reader

BY_THE_DASHBOARD: Mapping[str, Reader] = {
    "account": read_mail.account,
    "identities": read_mail.identities,
    "configuration": read_mail.configuration,
    "suppressed_staff": read_mail.suppressed_staff,
    "practice": read_mail.practice,
    "clinics": read_mail.clinics,
    "settings": read_mail.choices,
    "sending": read_mail.sending,
    "sent_today": read_mail.sent_today,
    "recipients": read_mail.recipients,
    "owners": read_mail.owners,
    "second_factor": read_mail.second_factor,
    "counted_at": read_mail.counted_at,
    "lately": read_mail.lately,
    "last_file": read_mail.last_file,
    "queue": read_running.queue,
    "tables": read_keeping.tables,
}
"""What the dashboard's role may ask."""


def by_the_command(place: Place) -> Mapping[str, Reader]:
    """All that there is to ask of this stack."""
    readers: dict[str, Reader] = {
        **BY_THE_DASHBOARD,
        "rule": read_mail.rule,
        "dmarc": read_mail.dmarc,
        "schedules": read_running.schedules,
        "schedules_wanted": read_running.schedules_wanted,
        "last_runs": read_running.last_runs,
        "halted": read_running.halted,
        "environments": read_running.environments,
        "parameters": read_running.parameters,
        "mappings": read_running.mappings,
        "uninvited": read_wiring.uninvited,
        "stream": read_wiring.stream,
        "queue": read_running.queue_with_age,
        "triggers": read_running.triggers,
        "topic": read_running.topic,
        "alarms": read_running.alarms,
        "patients_page": read_running.patients_page,
        "staff_page": read_running.staff_page,
        "version": read_running.version,
        "versioning": read_keeping.versioning,
        "bucket": read_keeping.bucket,
        "key": read_keeping.key,
        "secret": read_keeping.secret,
        "logs": read_keeping.logs,
        "stack_status": read_running.stack_status,
    }
    if "SelfTestFunction" in place.parts:
        readers["self_test"] = read_running.self_test
    if place.parameters.get("CertificateArn"):
        readers["certificate"] = read_running.certificate
    return readers
