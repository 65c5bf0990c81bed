"""The keyed operator without its engine: decisions, promises, micro-batches."""
