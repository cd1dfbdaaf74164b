"""The staff's dashboard: sign-in, pages and forms."""
