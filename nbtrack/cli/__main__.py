"""``python -m nbtrack.cli``: the command line of exactly this Python."""

from nbtrack.cli import main

main()
