"""Benchmarks: commands that print a table and, last, one JSON line."""
