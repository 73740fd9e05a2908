"""Numbers about cells and finished searches."""
