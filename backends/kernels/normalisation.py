"""Fused kernels of normalisation: zero mean, unit variance."""
