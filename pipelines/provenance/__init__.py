"""The audit log, and the lineage of bundles."""
