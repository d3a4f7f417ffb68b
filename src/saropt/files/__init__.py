"""Files and folders that appear when they are whole, and locks."""
