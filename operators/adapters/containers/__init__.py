"""Reads the records of a file: JSON lines, a JSON array, CSV or TSV, parquet, plain lines. Streams; gzip is unpacked."""
