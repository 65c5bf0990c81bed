"""The shopper simulator: shoppers whose tastes drift, and a truth to compare lists with (docs/simulator.md)."""
