"""Tests of corpus/augmentation."""
