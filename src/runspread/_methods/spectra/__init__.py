"""Weight spectra: tails, bulks, layers and models; and what they are compared with."""
