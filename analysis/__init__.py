"""The rooms behind analyse.py: one file per analysis, plain data in, plain data or pictures out."""
