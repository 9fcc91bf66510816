"""One offline HTML page from a study."""
