"""Scheduled: tells the practice's owner once of each case that nobody took in time."""
