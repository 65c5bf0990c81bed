"""The bundles that make lists in an operator."""
