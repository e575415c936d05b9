"""Fused kernels of images: convolution, its transpose, pooling."""
