"""What a check finds, as data and as text to read."""
