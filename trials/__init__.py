"""The rooms behind `scoring.py`: each knows one thing about trials, arrays only."""
