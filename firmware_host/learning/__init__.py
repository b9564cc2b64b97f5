"""Scores against truth, and training from labels; the only room that may import scikit-learn."""
