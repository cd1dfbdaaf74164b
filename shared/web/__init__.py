"""The patients' pages and the responses that carry them."""
