"""Tests of sweeping."""
