"""The same functions as the plain forms, fast."""
