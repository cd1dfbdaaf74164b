"""The environment of a function under test: the stack's parameters as the template's Globals pass them on."""

import os

TABLES = (
    *("Patients", "Visits", "Surveys", "Messages", "Addresses"),
    *("Scores", "Activity", "Settings", "Cases", "Sessions"),
)

ENVIRONMENT = {
    "PRACTICE_NAME": "Riverside Physical Therapy",
    "PRACTICE_TIME_ZONE": "America/New_York",
    "SENDER_ADDRESS": "care@riverside.example.com",
    "REPLY_TO_ADDRESS": "frontdesk@riverside.example.com",
    "POSTAL_ADDRESS": "12 River Road, Albany, NY 12207",
    "ADMIN_ADDRESSES": "admin@riverside.example.com",
    "REVIEW_LINKS": "https://g.page/r/riverside/review",
    "TOUCHPOINTS": "evaluation,visit:6,discharge",
    "SURVEY_DELAY_HOURS": "3",
    "SEND_FROM": "08:00",
    "SEND_UNTIL": "20:00",
    "SEND_DAYS": "Mon-Sat",
    "PAUSE_DAYS": "10",
    "REMINDER_AFTER_DAYS": "3",
    "MAX_TOUCHPOINT_AGE_DAYS": "14",
    "LINK_LIFETIME_DAYS": "30",
    "EDIT_WINDOW_DAYS": "7",
    "REVIEW_INVITATIONS": "promoters",
    "REVIEW_DELAY_HOURS": "24",
    "PASSIVE_ALERTS": "digest",
    "ALERT_DETAIL": "minimal",
    "PROMISE_CONTACT": "true",
    "MAX_SENDS_PER_DAY": "0",
    "SENDING_PAUSED": "false",
    "SENDERS": "1",
    "PUBLIC_URL": "https://care.example.com",
    "DASHBOARD_URL": "https://staff.example.com",
    "HASH_KEY_SECRET": "hash-key",
    "CONFIGURATION_SET": "mail-events",
    "METRICS_NAMESPACE": "Careloop/careloop",
    "INTAKE_BUCKET": "intake",
    "FAILED_EVENTS_QUEUE": "https://sqs.us-east-1.amazonaws.com/123456789012/failed-events",
    "USER_POOL_ID": "us-east-1_Staff",
    "ERASE_PATIENT_FUNCTION": "erase-patient",
    **{f"{name.upper()}_TABLE": name for name in TABLES},
}

AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def set_environment() -> None:
    """Make this process look like a function of the stack; to be called before shared.storage is imported."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(AWS)
    os.environ.update(ENVIRONMENT)
