"""The ways a faceset can be sorted, and what is measured on its faces for it."""
