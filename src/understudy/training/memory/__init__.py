"""What training takes of memory, before it begins and while it goes."""
