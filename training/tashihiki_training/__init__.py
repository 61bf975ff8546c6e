"""Training of encoders whose embeddings can be added and subtracted."""
