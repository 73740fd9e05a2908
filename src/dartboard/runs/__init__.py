"""Runs: one folder, one job; its files, limits and signals."""
