"""The one room with a broker client: clients that fail within seconds, and topics as local tables."""
