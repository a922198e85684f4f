"""The web console, for operators, and the archive as pages, for everybody who reads records."""
