"""Utterances: lists, samplers, audio and its filters, the cache of decoded audio."""
