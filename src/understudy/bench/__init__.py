"""What is fast, measured the same way every time: one JSON line per measurement."""
