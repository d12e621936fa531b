"""Estimates, power and ranks, from numbers alone."""
