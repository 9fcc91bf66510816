"""Where a study's objects lie: a folder, the memory of this process, or an object store, behind six verbs."""
