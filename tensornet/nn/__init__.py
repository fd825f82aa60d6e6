"""Neural networks on the library's own kernels."""
