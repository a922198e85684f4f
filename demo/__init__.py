"""A sample facility: made here, run by the product's own commands."""
