"""Redis: a server and its client, speaking RESP over the pods' network."""
