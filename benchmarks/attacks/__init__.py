"""Files made or damaged to do harm, thousands of them, each with a seed: what becomes of them, counted."""
