"""What each data set changes in the defaults of a training. Needs no torch.

The defaults are the training command published with the official code.
"""

from dartboard.data.presets import by_data

PRESETS = by_data(channels=8, cells=5, epochs=20, batch_size=96, cutout=2, auxiliary=False)
