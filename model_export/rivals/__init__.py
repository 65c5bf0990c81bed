"""What every model must beat, on the same split and full ranking."""
