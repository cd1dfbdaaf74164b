"""Scheduled: tells each clinic's admins once a day of their passives."""
