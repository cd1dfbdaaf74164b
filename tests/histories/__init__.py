"""Histories of practices that never were, and the files in which EMRs would have written them down."""

from tests.histories import careloop_csv

FORMATS = (careloop_csv.FORMAT,)
