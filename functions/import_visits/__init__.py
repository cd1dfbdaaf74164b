"""What the practice's records say, as patients, visits, surveys and their messages."""
