"""`landbridge lab`: a small cloud on this machine, from one file."""
