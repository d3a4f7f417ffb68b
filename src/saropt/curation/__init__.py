"""Data for training and evaluation: fetched, prepared from public sets, cleaned, filtered, inspected (no torch)."""
