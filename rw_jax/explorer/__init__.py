"""The page of a run: every run of a grid in one file that needs no network, to look inside of.

`data.gather` takes the numbers from a Run, as plain NumPy; `page.write` draws them, with Bokeh, which only it imports.
"""
