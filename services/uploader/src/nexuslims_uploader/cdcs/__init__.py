"""CDCS: records in a repository that people search."""
