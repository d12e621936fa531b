"""Readers of `resources/`: genes, cell types with their markers, and signatures."""
