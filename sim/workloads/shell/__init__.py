"""A POSIX shell: parser, expansion and interpreter on the simulated clock."""
