"""`python -m dartboard` is `dartboard`."""

import sys

from dartboard.cli import main

sys.exit(main())
