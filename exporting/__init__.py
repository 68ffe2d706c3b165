"""A trained model in the forms that other programs load. What `export.py` runs."""
