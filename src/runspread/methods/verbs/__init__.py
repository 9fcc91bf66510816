"""One verb a question: what is given decides whether per-example methods or those of scores answer it."""
