"""Tasks of development that need more than a line of the Makefile."""
