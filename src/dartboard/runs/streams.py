"""Seeds of random streams: each is a function of a run's seed, a name and a number. Nothing here imports torch."""

import hashlib


def stream_seed(seed: int, name: str, index: int = 0) -> int:
    """The seed of a stream. name: what is drawn, such as "trial"; index: the number of the trial, epoch, step ..."""
    digest = hashlib.sha256(f"{seed}/{name}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 2**63
