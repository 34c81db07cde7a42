"""The commands of crictl."""
