"""The cluster's addresses on the machine that the simulation runs on: loopback twins and a forward proxy."""
