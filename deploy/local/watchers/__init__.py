"""Prometheus and Alertmanager of the local stack."""
