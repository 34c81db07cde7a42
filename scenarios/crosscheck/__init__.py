"""The same scenario on two clusters, compared fact by fact: how far a simulated cluster can be trusted.

``scenario`` is what is played, ``record`` plays it on any cluster that kubectl reaches and keeps every change of every
object, ``facts`` boils a recording down to what should be the same everywhere, ``compare`` sets two side by side.
"""
