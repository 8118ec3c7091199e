"""Fitted networks in other forms."""
