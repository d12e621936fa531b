"""Breast cancer brain metastasis, from public count matrices to tested claims; one module or package per stage."""
