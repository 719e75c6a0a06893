"""The report of a run: figures and one page, made from the saved files of its run folder only."""
