"""The command line: ``tinynet COMMAND …``, one file a command.

``entry.py`` finds the command and imports its file alone, so that ``tinynet --help`` costs next to nothing. Each
command's file has two functions: ``parser()`` says which options there are, ``run(args)`` does the work and returns the
exit code.
"""

from tinynet.cli.entry import main

__all__ = ["main"]
