"""NexusLIMS indexer."""
