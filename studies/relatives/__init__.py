"""Relatives of the model: heads, positions, embeddings, depth, and tasks that take more than the last token."""
