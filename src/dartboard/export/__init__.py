"""Trained networks as files that load back."""
