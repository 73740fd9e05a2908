"""Trained networks as files that can be loaded again."""
