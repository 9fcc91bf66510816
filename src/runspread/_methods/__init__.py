"""The methods: pure functions from arrays to frozen results. No files, no torch, no printing."""
