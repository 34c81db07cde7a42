"""Custom kinds: what a CustomResourceDefinition's schema makes of objects (k8s.io/apiextensions-apiserver)."""
