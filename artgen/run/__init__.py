"""Recipe -> run folder: build, loop, checkpoint, record, preview."""
