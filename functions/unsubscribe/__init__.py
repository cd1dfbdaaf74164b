"""GET asks whether to stop the mails, POST stops them."""
