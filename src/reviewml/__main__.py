"""``python -m reviewml``."""

from reviewml.cli import main

main()
