"""``python -m nexuslims_console``: the command line, where its script is not on the path."""

from nexuslims_console.cli import main

main()
