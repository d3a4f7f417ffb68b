"""`python -m saropt` is the `saropt` command."""

import sys

from saropt.cli import main

sys.exit(main())
