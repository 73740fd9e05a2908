"""Experiments made of the verbs: what they ask, what they run, and what of it is found."""
