"""Statistics that compare arms."""
