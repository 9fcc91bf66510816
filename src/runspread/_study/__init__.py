"""The study on disk: specification, shards, index, recording, reading."""
