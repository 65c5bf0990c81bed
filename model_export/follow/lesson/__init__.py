"""What a candidate learns: its questions, its weights, its items' biases, and what it counts."""
