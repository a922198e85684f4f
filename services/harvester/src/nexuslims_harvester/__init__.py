"""NexusLIMS harvester."""
