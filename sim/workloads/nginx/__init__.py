"""nginx: what its configuration files say, and the server that follows them."""
