"""Backups of the broker's streams: the log's periods, the buckets, the dead letters."""
