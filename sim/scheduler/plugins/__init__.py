"""The default plug-ins, one module each, as upstream names them (pkg/scheduler/framework/plugins)."""
