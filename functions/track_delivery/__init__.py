"""Events of Amazon SES: what became of each mail."""
