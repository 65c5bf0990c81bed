"""The feedback join: impressions and outcomes of lists become examples."""
