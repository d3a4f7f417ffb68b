"""Many scenes: jobs and the processes or clusters that run them (no torch until a translator needs it)."""
