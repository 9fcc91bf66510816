"""Parts of `scores_tables.py`: its rows, and the tables of several arms, tasks, plans and looks."""
