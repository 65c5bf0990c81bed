"""The items of lists: their JSON, their codes, what they are worth."""
