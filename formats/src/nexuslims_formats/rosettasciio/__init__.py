"""Formats that RosettaSciIO reads, and what it needs from us."""
