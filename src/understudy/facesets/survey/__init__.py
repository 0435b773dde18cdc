"""What a faceset holds, told in words, numbers and pictures."""
