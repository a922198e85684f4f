"""Numbers, dates, clocks and texts as the computers of microscopes write them, anywhere.

What cannot be read with certainty is never guessed in silence: a number gives None, a date says
what is doubtful about it.
"""
