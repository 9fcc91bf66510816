"""The alpha-trimming level of a run (Banerjee et al. 2024, arXiv 2406.08307; closed form derived from 1903.08687)."""
