"""Products of sensors read by their own formats: Sentinel-1 (no torch)."""
