"""Live demand: how much shoppers ask for each item, and the orders of popular and trending items that follow from it."""
