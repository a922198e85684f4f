"""eLabFTW: an experiment for each session, with its record attached."""
