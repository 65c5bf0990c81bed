"""The same work on other engines, beside Liveshelf."""
