"""Studies: the science that the commands print. Each is a function of a config and a folder."""
