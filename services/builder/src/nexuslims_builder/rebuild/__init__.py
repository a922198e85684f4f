"""Rebuilding the records of many sessions from the log, as a job: ``nexuslims rebuild``."""
