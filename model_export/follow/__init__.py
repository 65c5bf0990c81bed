"""The trainer that keeps up: a history of what shoppers did, rounds that learn from it, candidates for the gate."""
