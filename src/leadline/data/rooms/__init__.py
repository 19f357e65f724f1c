"""Imagined rooms: drawn by chance (`layout`), met by rays (`raycast`), and shown (`shading`)."""
