"""Measures how well attribute arithmetic retrieves, on any labelled catalogue."""
