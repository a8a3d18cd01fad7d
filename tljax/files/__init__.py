"""Files that are written whole or not at all, kept in a cache, or downloaded."""
