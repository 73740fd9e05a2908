"""dartboard: neural architecture search that a person can run, trust, watch and ship."""

__version__ = "0.1.0"
