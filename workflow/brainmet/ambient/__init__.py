"""Ambient RNA taken off: of pseudobulk sums, and of single cells."""
