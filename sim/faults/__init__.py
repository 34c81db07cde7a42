"""Everything that can break: values that say what, where and how; each knows its opposite."""
