"""NexusLIMS contracts."""
