"""Scheduled: measures once a week what closing the loop is worth."""
