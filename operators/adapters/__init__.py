"""Adapters: records of other systems -> events of docs/events.md. No broker, no engine."""
