"""Scheduled: mails the report of the past week or month to whom the practice chose."""
