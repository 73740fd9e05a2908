"""Figures about cells and searches that are done."""
