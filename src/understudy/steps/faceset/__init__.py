"""Steps on whole facesets, one file for each word after `understudy faceset`."""
