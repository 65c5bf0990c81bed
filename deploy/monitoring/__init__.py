"""What Prometheus, Alertmanager and Grafana are told: recording rules, alerts, dashboards."""
