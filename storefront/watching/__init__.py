"""The storefront's metrics and the page for operations."""
