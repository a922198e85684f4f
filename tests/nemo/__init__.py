"""A real NEMO for tests: its environment, its data, faults on demand."""
