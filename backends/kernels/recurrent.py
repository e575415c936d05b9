"""Fused kernels of sequences: a whole recurrence in one call, and back-propagation through time in another."""
