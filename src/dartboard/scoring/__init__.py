"""What a network or an architecture is worth, and what it costs."""
