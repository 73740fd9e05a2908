"""What searches with shared weights have in common."""
