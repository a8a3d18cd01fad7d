"""Commands: one file each, `python -m experiments.<name> --help`."""
