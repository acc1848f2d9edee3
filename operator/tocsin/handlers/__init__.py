"""kopf's doors: an event comes in, a key is queued."""
