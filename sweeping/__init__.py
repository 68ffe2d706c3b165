"""The modules behind sweep.py: a grid's runs, where they stand, what runs them, and the table they make."""
