"""``python -m tinynet``: the command line, where the console script is not on the path."""

import sys

from tinynet.cli import main

if __name__ == "__main__":
    sys.exit(main())
