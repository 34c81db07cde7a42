"""A shell on the machines of a cluster: what one sees and does there with ssh."""
