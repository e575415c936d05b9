"""Fused kernels of attention."""
