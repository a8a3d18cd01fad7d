"""Atomic file writes, the cache folder, downloads and lines on the terminal."""
