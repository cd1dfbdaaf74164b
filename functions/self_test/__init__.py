"""Scheduled: follows a made-up patient each night from the survey to the figures."""
