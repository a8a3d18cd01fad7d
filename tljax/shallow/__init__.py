"""Transfer in closed form: arrays in, arrays out. What is random takes a seed, what is symmetric is computed in float64."""
