"""Stream and sweep: tells a clinic's admins of a detractor at once."""
