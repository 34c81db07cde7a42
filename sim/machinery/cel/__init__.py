"""The Common Expression Language as Kubernetes speaks it: parser, macros, type checker, evaluation, libraries, costs.

``environment.Environment(variables).compile(text)`` gives a ``Program`` or raises ``CelError``; ``program.evaluate``
takes bindings of plain JSON-like values and gives one. Source: github.com/google/cel-go and k8s.io/apiserver/pkg/cel.
Expressions see no clock and nothing else from outside.
"""
