"""Moving over from NexusLIMS 1.4 to 2.8: its database, its records."""
