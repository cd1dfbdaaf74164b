"""Scheduled: adds each night what changed since the last to the counts."""
