"""Stream and sweep: makes the review request that send_survey sends."""
