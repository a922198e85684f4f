"""Tests of what crosses services and of everything around the code."""
