"""Fine-tuning: a network that has learnt a source goes on with the labels of the target."""
