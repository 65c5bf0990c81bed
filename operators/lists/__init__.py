"""From a request to a list: scores, rules, reasons, fallback."""
