"""NEMO, the calendar and laboratory management system of NIST, as a calendar."""
