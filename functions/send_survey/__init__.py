"""Scheduled: claims the patient messages that are due and sends them."""
