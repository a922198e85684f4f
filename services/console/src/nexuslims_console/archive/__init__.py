"""The archive: datasets of records in tables, searched by text and by quantity."""
