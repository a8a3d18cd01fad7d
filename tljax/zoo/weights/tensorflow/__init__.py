"""Readers of the formats in which TensorFlow's detectors are published: frozen graphs (`frozen`),
checkpoints (`checkpoint`), models of TensorFlow.js (`javascript`) and of TensorFlow Lite (`lite`).

`reading` chooses among them, and `variables` gives what they hold the names of the variables in
training. Neither TensorFlow nor pickle is used.
"""
