"""Machines, and the kubelet on each: what happens to a pod from its binding to its end."""
