"""The methods, one file each; a plain table of name -> (what it is, its source)."""

METHODS: dict[str, tuple[str, str]] = {
    "darts": (
        "differentiable search over a relaxed cell, first and second order",
        "Liu, Simonyan, Yang: DARTS, ICLR 2019 (arXiv 1806.09055); quark0/darts",
    ),
}
