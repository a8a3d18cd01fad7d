"""tljax: transfer learning in JAX. What to transfer (partition and graft), when (compare), how (methods)."""
__version__ = '0.1.0'
