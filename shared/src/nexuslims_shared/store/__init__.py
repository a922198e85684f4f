"""The event store: a port, the JetStream adapter, and one in memory."""

from nexuslims_shared.store.port import Appended, EventStore, Unreadable

__all__ = ["Appended", "EventStore", "Unreadable"]
