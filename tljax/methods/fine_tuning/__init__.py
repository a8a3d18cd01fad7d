"""Fine-tuning: a network that was trained on a source is trained further on the target's labels."""
