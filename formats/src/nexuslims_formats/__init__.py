"""Extractors of the formats of the field, each a plugin registered by entry point."""
