"""Portside: pack a model once, prove it on every target, serve it with a fallback, ship it to devices."""
