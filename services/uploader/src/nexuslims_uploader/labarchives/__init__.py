"""LabArchives: a page for each session, with its record attached."""
