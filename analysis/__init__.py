"""The modules behind analyse.py: one analysis a file, plain data in, plain data or pictures out."""
