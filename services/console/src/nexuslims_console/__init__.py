"""NexusLIMS console."""
