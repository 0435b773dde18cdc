"""Faces moved, renamed, packed and unpacked, such that it can be undone."""
