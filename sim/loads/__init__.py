"""Load generators: values that say what is asked for, from where, how often and for how long."""
