"""Histories of practices that never were, and the files in which EMRs would have written them down."""

from tests.histories import careloop_csv, fhir, hl7v2, webpt

FORMATS = (
    careloop_csv.FORMAT,
    webpt.FORMAT,
    webpt.RENAMED,
    webpt.BY_CHARGES,
    fhir.NDJSON,
    fhir.BUNDLES,
    fhir.BY_DAYS,
    fhir.UNMAPPED,
    hl7v2.FORMAT,
    hl7v2.WHOLE,
    hl7v2.UNMAPPED,
)
