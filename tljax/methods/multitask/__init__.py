"""Multitask learning: several tasks are learnt together, and share parameters."""
