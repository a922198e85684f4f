"""``python -m nexuslims_shared``: the command line, where its script is not on the path."""

from nexuslims_shared.cli.shell import main

main()
