"""Exported models at work: numpy, and a library that runs the graphs. Nothing in here imports torch."""
