"""One session: its state folded from events, what the state means, and how a service gets it."""
