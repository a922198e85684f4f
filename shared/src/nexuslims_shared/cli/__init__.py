"""The command line ``nexuslims``: its shell, and the commands that every distribution needs."""
