"""Neural networks for tables of numbers and categories."""
