"""Training crops changed at random: noise, rooms, codecs, RawBoost, bands, level, speed. One kind of change a function.

A kind takes samples (T,) float32 at 16 kHz and a numpy Generator, and gives (T,) float32; its keyword parameters are
its options in a recipe (`recipe.py`), and nothing is drawn from any other generator. Only `speed` changes the length.
"""
