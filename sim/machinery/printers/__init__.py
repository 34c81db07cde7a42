"""What each kind shows of an object in a table: one function per kind, from an object to its cells.

Source: k8s.io/kubernetes/pkg/printers/internalversion/printers.go. The columns themselves are data (``tables``).
"""
