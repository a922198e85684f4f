"""NexusLIMS builder."""
