"""``tinynet backends``: which engines there are, and which can run here."""

import argparse
import json

from tinynet import registry
from tinynet.cli.parser import Parser

EXAMPLE = """\
  tinynet backends
  tinynet train --backend numpy"""


def parser() -> Parser:
    """The options."""
    p = Parser(
        "backends",
        "[options]",
        "List the engines that a network can run on, and say which can run here and why others cannot.",
        EXAMPLE,
    )
    p.add_argument("--json", action="store_true", help="print the list as JSON")
    return p


def run(args: argparse.Namespace) -> int:
    """Ask each and print the answers."""
    found = registry.backends()
    chosen = next(name for name in registry.AUTO if found[name].usable)
    if args.json:
        print(json.dumps({name: answer._asdict() for name, answer in found.items()}))
        return 0
    wide = max(map(len, found))
    for name, (usable, reason) in found.items():
        mark = "yes" if usable else "no"
        lines = ("what auto takes" if name == chosen else "" if usable else reason).splitlines() or [""]
        print(f"{name:<{wide}}  {mark:<3}  {lines[0]}".rstrip())
        for line in lines[1:]:
            print(f"{'':<{wide}}       {line}")
    return 0
