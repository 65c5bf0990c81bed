"""The broker of the local stack."""
