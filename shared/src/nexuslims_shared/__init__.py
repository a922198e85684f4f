"""NexusLIMS shared."""
