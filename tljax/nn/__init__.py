"""Small modules that many networks share."""
