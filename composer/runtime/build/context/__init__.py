"""Build contexts and what COPY and ADD take from them: which files, their digest, and the files in the new layer.

It knows neither stages nor the cache of steps. Sources and targets are open directories: every path is resolved below
one of them, and no link in a context or an image leads out.
"""
