"""The live server: sockets, TLS, the pump that lets simulated time follow the wall clock."""
