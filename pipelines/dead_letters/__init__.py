"""Dead letters: read, repair, put back."""
