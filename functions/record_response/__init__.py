"""The patient's survey page: GET shows it, POST records the answer."""
