"""NexusLIMS uploader."""
