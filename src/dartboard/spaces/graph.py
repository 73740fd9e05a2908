"""A picture of an architecture as plain data, for any family; report/drawing.py draws it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Graph:
    """nodes: names, of which the first is the input and the last the output; edges: (source, target, operation)."""

    title: str
    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str, str], ...]
