"""Recognisers: aligned faces in, unit embeddings out; one file or folder each."""
