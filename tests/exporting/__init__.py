"""Tests of exporting/, run against the programs that are to load what it writes."""
