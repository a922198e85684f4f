"""Copies of files that show nothing of the sample: data zeroed, metadata byte for byte."""
