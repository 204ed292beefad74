"""The result of a check, as data and as readable text."""
