"""Fetches, prepares, cleans, filters and inspects data for training and evaluation (no torch)."""
