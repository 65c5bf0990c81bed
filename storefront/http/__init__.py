"""What a request must be, and how it is answered."""
