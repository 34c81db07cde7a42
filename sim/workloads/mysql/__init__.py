"""MySQL: a server that keeps tables, its client and ``mysqladmin``."""
