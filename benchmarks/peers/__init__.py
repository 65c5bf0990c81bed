"""The same work on other engines, side by side with ours."""
