"""Files that start runs on clusters, or as several local processes; their first lines tell how."""
